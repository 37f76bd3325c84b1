package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// bufferedRecorder notes how many records each Flush found.
type bufferedRecorder struct {
	recorder
	flushed []int
	err     error
}

func (r *bufferedRecorder) Flush(context.Context) error {
	r.flushed = append(r.flushed, len(r.flows))
	return r.err
}

// The records of a flush go to the log chunk by chunk, and all of them go even
// when the log is stuck.
func TestFlushedFlowsDoNotOverrunTheLog(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want []int
	}{
		{"log that writes", nil, []int{2, 3, 5}},
		{"log that is stuck", errors.New("full"), []int{2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := &bufferedRecorder{err: c.err}
			done := make(chan struct{})
			close(done)
			chunk := func(n int) []byte {
				var p packedFlows
				for range n {
					p.add(&FlowRecord{})
				}
				return p.chunks[0]
			}
			New(options(rec)).logFlushed([]*share{
				{done: done, packed: packedFlows{[][]byte{chunk(2), chunk(1)}}},
				{done: done, packed: packedFlows{[][]byte{chunk(2)}}},
			}, "op")
			if len(rec.flows) != 5 || rec.flows[4].OperationID != "op" {
				t.Errorf("records are %v", rec.flows)
			}
			if !slices.Equal(rec.flushed, c.want) {
				t.Errorf("flushed at %v records, want %v", rec.flushed, c.want)
			}
		})
	}
}
