package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Event is a change of one record.
type Event struct {
	KV      // of a deleted record only Key and Rev, which is that of the deletion
	Deleted bool
}

// Update is what a watch delivers: either all records as they stood at one
// revision, or the changes of one or more later revisions in order.
type Update struct {
	Snapshot bool // Events are all records under the prefix; forget what was known before
	Events   []Event
	Rev      int64 // of the last change that the receiver knows with this update; Watch goes on from here
}

// defaultCheck is how often a watch asks whether the server is still the one
// that it began with: a server whose data directory was replaced counts its
// revisions anew, and the changes that a watch waits for would never come.
const defaultCheck = 5 * time.Second

// Watch delivers the records under prefix and then their changes, until ctx
// ends or the store is closed; then the channel is closed. With from 0 the
// first update is a snapshot; with another revision it is the changes after
// it. Lost connections and restarts are waited out; when changes were missed
// (compacted away, or the server's data replaced) the next update is a
// snapshot. A receiver that is slow delays only its own watch.
func (s *Store) Watch(ctx context.Context, prefix string, from int64) <-chan Update {
	out := make(chan Update)
	w := watch{s: s, prefix: prefix, out: out, rev: from}
	go func() {
		defer close(out)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := context.AfterFunc(s.ended, cancel)
		defer stop()
		w.run(ctx)
	}()
	return out
}

type watch struct {
	s       *Store
	prefix  string
	out     chan<- Update
	rev     int64 // delivered up to here; 0: a snapshot is due
	cluster uint64
}

var (
	errCompacted = errors.New("changes were compacted away")
	errReplaced  = errors.New("the server's data was replaced")
)

func (w *watch) run(ctx context.Context) {
	for wait := newBackoff(); ctx.Err() == nil; wait.sleep(ctx) {
		var err error
		if w.rev == 0 {
			err = w.snapshot(ctx)
		}
		if err == nil {
			wait.reset()
			err = w.follow(ctx)
		}
		if errors.Is(err, errCompacted) || errors.Is(err, errReplaced) {
			w.rev = 0
		}
		if ctx.Err() == nil {
			w.s.log.Warn("watch interrupted, will go on", "prefix", w.prefix, "error", err)
		}
	}
}

// snapshot delivers all records at one revision.
func (w *watch) snapshot(ctx context.Context) error {
	resp, err := call(ctx, w.s, "list", w.prefix, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return w.s.client.Get(ctx, w.prefix, clientv3.WithPrefix())
	})
	if err != nil {
		return err
	}
	u := Update{Snapshot: true, Rev: resp.Header.Revision, Events: make([]Event, len(resp.Kvs))}
	for i, kv := range resp.Kvs {
		u.Events[i] = Event{KV: kvOf(kv)}
	}
	w.cluster = resp.Header.ClusterId
	return w.deliver(ctx, u)
}

// follow delivers changes until the watch breaks, and says why it broke.
func (w *watch) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	changes := w.s.client.Watch(ctx, w.prefix, clientv3.WithPrefix(), clientv3.WithRev(w.rev+1))
	tick := time.NewTicker(w.s.checkEvery)
	defer tick.Stop()
	for {
		select {
		case resp, ok := <-changes:
			switch {
			case !ok:
				return errors.New("the watch was closed")
			case resp.CompactRevision != 0:
				return errCompacted
			case resp.Err() != nil:
				return resp.Err()
			case len(resp.Events) == 0:
				continue
			}
			// The header's revision may be ahead of the events: more can follow.
			u := Update{Rev: resp.Events[len(resp.Events)-1].Kv.ModRevision, Events: make([]Event, len(resp.Events))}
			for i, e := range resp.Events {
				u.Events[i] = Event{KV: kvOf(e.Kv), Deleted: e.Type == clientv3.EventTypeDelete}
			}
			if err := w.deliver(ctx, u); err != nil {
				return err
			}
		case <-tick.C:
			if err := w.check(ctx); err != nil {
				return err
			}
		case <-w.s.Failed():
			return w.s.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// check fails with errReplaced if the server is not the one that the watch
// began with. A server that does not answer is none of its business.
func (w *watch) check(ctx context.Context) error {
	resp, err := call(ctx, w.s, "check", w.prefix, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return w.s.client.Get(ctx, w.prefix, clientv3.WithCountOnly())
	})
	if err != nil {
		return nil
	}
	if w.cluster == 0 {
		w.cluster = resp.Header.ClusterId
	}
	if resp.Header.ClusterId != w.cluster || resp.Header.Revision < w.rev {
		return fmt.Errorf("%w: it is at revision %d, the watch at %d", errReplaced, resp.Header.Revision, w.rev)
	}
	return nil
}

func (w *watch) deliver(ctx context.Context, u Update) error {
	select {
	case w.out <- u:
		w.rev = u.Rev
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
