package store

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// next returns the next update of a watch, which must come in time.
func next(t *testing.T, updates <-chan Update) Update {
	t.Helper()
	select {
	case u, ok := <-updates:
		if !ok {
			t.Fatal("the watch ended")
		}
		return u
	case <-time.After(20 * time.Second):
		t.Fatal("no update")
	}
	panic("unreachable")
}

// summary is "snapshot k=v k2=v2" or "k=v k2-".
func summary(u Update) string {
	var words []string
	if u.Snapshot {
		words = append(words, "snapshot")
	}
	for _, e := range u.Events {
		if e.Deleted {
			words = append(words, e.Key+"-")
		} else {
			words = append(words, e.Key+"="+string(e.Value))
		}
	}
	return strings.Join(words, " ")
}

func expect(t *testing.T, updates <-chan Update, want string) Update {
	t.Helper()
	u := next(t, updates)
	if got := summary(u); got != want {
		t.Fatalf("update %q, want %q", got, want)
	}
	return u
}

func TestWatch(t *testing.T) {
	s := open(t, t.TempDir())
	c := dial(t, s)
	put(t, s, "/w/a", "1")
	put(t, s, "/x", "elsewhere")
	updates := c.Watch(t.Context(), "/w/", 0)
	u := expect(t, updates, `snapshot /w/a="1"`)
	put(t, s, "/w/b", "2")
	expect(t, updates, `/w/b="2"`)
	put(t, s, "/x", "elsewhere again")
	if err := s.Delete(t.Context(), "/w/a"); err != nil {
		t.Fatal(err)
	}
	expect(t, updates, `/w/a-`)

	// Two records of one transaction come as one update, and an old revision
	// replays what came after it.
	var x Txn
	x.Put("/w/c", 3, 0)
	x.Put("/w/d", 4, 0)
	if _, err := s.Commit(t.Context(), &x); err != nil {
		t.Fatal(err)
	}
	expect(t, updates, `/w/c=3 /w/d=4`)
	replay := s.Watch(t.Context(), "/w/", u.Rev)
	var got []string
	for len(got) < 4 {
		got = append(got, strings.Fields(summary(next(t, replay)))...)
	}
	if want := []string{`/w/b="2"`, `/w/a-`, `/w/c=3`, `/w/d=4`}; !slices.Equal(got, want) {
		t.Errorf("replay %q, want %q", got, want)
	}
}

func TestWatchEnds(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	updates := s.Watch(ctx, "/w/", 0)
	expect(t, updates, "snapshot")
	cancel()
	if u, ok := <-updates; ok {
		t.Errorf("an update after the end: %+v", u)
	}
}

func TestWatchAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	c := dial(t, s)
	put(t, s, "/w/a", "1")
	updates := c.Watch(t.Context(), "/w/", 0)
	expect(t, updates, `snapshot /w/a="1"`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	put(t, s, "/w/b", "2")
	expect(t, updates, `/w/b="2"`)
}

func TestWatchOfReplacedData(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	c := dial(t, s)
	c.checkEvery = 20 * time.Millisecond
	for range 20 {
		put(t, s, "/w/a", "1")
	}
	updates := c.Watch(t.Context(), "/w/", 0)
	expect(t, updates, `snapshot /w/a="1"`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	put(t, s, "/w/new", "1")
	expect(t, updates, `snapshot /w/new="1"`)
}

func TestWatchOfCompactedChanges(t *testing.T) {
	s := open(t, t.TempDir())
	old := put(t, s, "/w/a", "1")
	put(t, s, "/w/a", "2")
	last := put(t, s, "/w/a", "3")
	if _, err := s.client.Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	expect(t, s.Watch(t.Context(), "/w/", old), `snapshot /w/a="3"`)
}

// TestWatchResumesWhereItStopped reads a long history in small steps, each by
// a watch of its own that begins at the revision of the last update: nothing
// may be missed or come twice.
func TestWatchResumesWhereItStopped(t *testing.T) {
	s := open(t, t.TempDir())
	first := put(t, s, "/w/n", "0")
	const changes = 3000 // more than etcd sends at once to a watch that is behind
	for i := 1; i <= changes; i++ {
		put(t, s, "/w/n", strconv.Itoa(i))
	}
	seen := 0
	for rev := first; seen < changes; {
		ctx, cancel := context.WithCancel(t.Context())
		u := next(t, s.Watch(ctx, "/w/", rev))
		cancel()
		for _, e := range u.Events {
			seen++
			if got, want := string(e.Value), strconv.Quote(strconv.Itoa(seen)); got != want {
				t.Fatalf("change %s, want %s", got, want)
			}
		}
		rev = u.Rev
	}
}

// TestHoldWithoutServer: the holder learns that its lease is lost although the
// server cannot tell it.
func TestHoldWithoutServer(t *testing.T) {
	s := open(t, t.TempDir())
	c := dial(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	holds, lost := make(chan Lease, 1), make(chan struct{})
	go c.Hold(ctx, time.Second, func(ctx context.Context, id Lease) {
		holds <- id
		<-ctx.Done()
		close(lost)
	})
	<-holds
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-lost:
	case <-time.After(4 * time.Second):
		t.Error("the holder still believes in its lease, of 1 s, after 4 s")
	}
}

func TestHold(t *testing.T) {
	s := open(t, t.TempDir())
	c := dial(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	leases := make(chan Lease)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Hold(ctx, time.Second, func(ctx context.Context, id Lease) {
			if _, err := c.Put(ctx, "/node", "here", id); err != nil {
				t.Error(err)
			}
			leases <- id
			<-ctx.Done()
		})
	}()
	first := <-leases
	if err := s.Revoke(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := <-leases
	if second == first {
		t.Error("the lost lease was given again")
	}
	if _, err := s.Get(t.Context(), "/node"); err != nil {
		t.Errorf("the record is not back: %v", err)
	}
	cancel()
	<-ended
	if _, err := s.Get(t.Context(), "/node"); err == nil {
		t.Error("the record outlived its holder")
	}
}
