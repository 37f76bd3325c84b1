package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// Record is a decoded record.
type Record[T any] struct {
	Key   string
	Rev   int64 // revision of its last change
	Value T
}

// Decode reads the JSON value of a record.
func Decode[T any](kv KV) (T, error) {
	var v T
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		var zero T
		return zero, fmt.Errorf("store: the record at %s cannot be read: delete it or restore it from a backup: %w", kv.Key, err)
	}
	return v, nil
}

// Get returns the record at key and the revision of its last change, or an
// error that wraps ErrNotFound.
func Get[T any](ctx context.Context, s *Store, key string) (T, int64, error) {
	var zero T
	kv, err := s.Get(ctx, key)
	if err != nil {
		return zero, 0, err
	}
	v, err := Decode[T](kv)
	if err != nil {
		return zero, 0, err
	}
	return v, kv.Rev, nil
}

// List returns all records under prefix in order of their keys, and the
// revision that they were read at.
func List[T any](ctx context.Context, s *Store, prefix string) ([]Record[T], int64, error) {
	p, err := s.List(ctx, prefix, "", 0)
	if err != nil {
		return nil, 0, err
	}
	records := make([]Record[T], len(p.KVs))
	for i, kv := range p.KVs {
		v, err := Decode[T](kv)
		if err != nil {
			return nil, 0, err
		}
		records[i] = Record[T]{Key: kv.Key, Rev: kv.Rev, Value: v}
	}
	return records, p.Rev, nil
}
