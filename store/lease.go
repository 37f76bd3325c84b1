package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Grant returns a new lease that ends after ttl, rounded up to seconds, unless
// it is kept alive.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (Lease, error) {
	resp, err := call(ctx, s, "grant a lease", "", func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		return s.client.Grant(ctx, seconds(ttl))
	})
	if err != nil {
		return 0, err
	}
	return Lease(resp.ID), nil
}

// Revoke ends a lease and deletes the records under it. A lease that has
// ended already is no error.
func (s *Store) Revoke(ctx context.Context, id Lease) error {
	_, err := call(ctx, s, "revoke a lease", "", func(ctx context.Context) (*clientv3.LeaseRevokeResponse, error) {
		return s.client.Revoke(ctx, clientv3.LeaseID(id))
	})
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}

// Hold keeps a lease of time to live ttl until ctx ends, and then revokes it.
// Each time a lease has been granted, held is called on a new goroutine with
// its id; the context that it gets ends when that lease is lost or ctx ends,
// and Hold waits for held to return before it asks for the next lease. A lease
// is lost when it could not be renewed for ttl; records under it are gone by
// then or soon after, so held writes them anew. Hold returns ctx's error.
func (s *Store) Hold(ctx context.Context, ttl time.Duration, held func(ctx context.Context, id Lease)) error {
	for wait := newBackoff(); ctx.Err() == nil; {
		id, err := s.Grant(ctx, ttl)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Warn("cannot get a lease, will retry", "error", err)
			}
			wait.sleep(ctx)
			continue
		}
		wait.reset()
		s.holdOne(ctx, id, ttl, held)
		if ctx.Err() == nil {
			s.log.Warn("lease lost, asking for another", "ttl", ttl)
		}
	}
	return fmt.Errorf("store: hold a lease: %w", ctx.Err())
}

// holdOne runs held until the lease is lost.
func (s *Store) holdOne(ctx context.Context, id Lease, ttl time.Duration, held func(context.Context, Lease)) {
	leased, lose := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		held(leased, id)
	}()
	s.renew(leased, id, ttl)
	lose()
	<-done
	// Bounded by the store's timeout; on loss this is a no-op for the server.
	revoke, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	if err := s.Revoke(revoke, id); err != nil {
		s.log.Debug("lease left to expire", "error", err)
	}
}

// renew keeps the lease alive and returns when it is lost or ctx ends.
func (s *Store) renew(ctx context.Context, id Lease, ttl time.Duration) {
	expires := time.Now().Add(ttl)
	tick := time.NewTicker(ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ended.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		inTime, cancel := context.WithDeadline(ctx, expires)
		_, err := call(inTime, s, "renew a lease", "", func(ctx context.Context) (*clientv3.LeaseKeepAliveResponse, error) {
			return s.client.KeepAliveOnce(ctx, clientv3.LeaseID(id))
		})
		cancel()
		switch {
		case err == nil:
			expires = asked.Add(ttl)
		case errors.Is(err, rpctypes.ErrLeaseNotFound), time.Now().After(expires):
			return
		}
	}
}

func seconds(ttl time.Duration) int64 {
	return max(1, int64((ttl+time.Second-1)/time.Second))
}

// backoff doubles a wait from 50 ms to 2 s.
type backoff struct{ next time.Duration }

func newBackoff() *backoff { return &backoff{next: 50 * time.Millisecond} }

func (b *backoff) reset() { b.next = 50 * time.Millisecond }

func (b *backoff) sleep(ctx context.Context) {
	t := time.NewTimer(b.next)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	b.next = min(2*b.next, 2*time.Second)
}
