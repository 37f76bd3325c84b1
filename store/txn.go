package store

import (
	"context"
	"encoding/json"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Txn collects conditions and changes that Commit carries out together or not
// at all. The zero value is ready to use. At most 128 conditions and as many
// changes fit into one.
type Txn struct {
	ifs []clientv3.Cmp
	ops []clientv3.Op
	err error // of the first value that could not be encoded
}

// IfRev demands that the record at key was last changed at revision rev; 0
// demands that there is none.
func (t *Txn) IfRev(key string, rev int64) {
	t.ifs = append(t.ifs, clientv3.Compare(clientv3.ModRevision(key), "=", rev))
}

// IfNoneSince demands that no record under prefix was created or changed after
// revision rev, which is that of a Page. It does not notice deletions.
func (t *Txn) IfNoneSince(prefix string, rev int64) {
	t.ifs = append(t.ifs, clientv3.Compare(clientv3.ModRevision(prefix), "<", rev+1).WithPrefix())
}

// Put writes value as JSON at key, under lease if that is not 0. A record
// under a lease goes when the lease ends.
func (t *Txn) Put(key string, value any, lease Lease) {
	b, err := json.Marshal(value)
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("store: encode the value of %s: %w", key, err)
	}
	t.PutBytes(key, b, lease)
}

// PutBytes writes value as it is.
func (t *Txn) PutBytes(key string, value []byte, lease Lease) {
	t.ops = append(t.ops, clientv3.OpPut(key, string(value), clientv3.WithLease(clientv3.LeaseID(lease))))
}

// Delete removes the record at key; a missing one is no error.
func (t *Txn) Delete(key string) { t.ops = append(t.ops, clientv3.OpDelete(key)) }

// DeleteBelow removes all records under prefix.
func (t *Txn) DeleteBelow(prefix string) {
	t.ops = append(t.ops, clientv3.OpDelete(prefix, clientv3.WithPrefix()))
}

// Commit carries out t and returns the store's revision after it, which is the
// revision of all records that it wrote. It fails with ErrConflict and without
// an effect when a condition does not hold.
func (s *Store) Commit(ctx context.Context, t *Txn) (int64, error) {
	if t.err != nil {
		return 0, t.err
	}
	resp, err := call(ctx, s, "commit", "", func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).If(t.ifs...).Then(t.ops...).Commit()
	})
	if err != nil {
		return 0, err
	}
	if !resp.Succeeded {
		return 0, fmt.Errorf("store: commit: %w", ErrConflict)
	}
	return resp.Header.Revision, nil
}

// Put writes one record unconditionally and returns its revision.
func (s *Store) Put(ctx context.Context, key string, value any, lease Lease) (int64, error) {
	var t Txn
	t.Put(key, value, lease)
	return s.Commit(ctx, &t)
}

// Delete removes one record; a missing one is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	var t Txn
	t.Delete(key)
	_, err := s.Commit(ctx, &t)
	return err
}

func kvOf(kv *mvccpb.KeyValue) KV {
	return KV{Key: string(kv.Key), Value: kv.Value, Rev: kv.ModRevision, Lease: Lease(kv.Lease)}
}

// Empty reports whether t would change nothing.
func (t *Txn) Empty() bool { return len(t.ops) == 0 && t.err == nil }
