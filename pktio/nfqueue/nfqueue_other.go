//go:build !linux

package nfqueue

import (
	"context"
	"errors"
	"runtime"

	"github.com/sluicefw/sluice/pktio"
)

// Driver cannot exist on this system.
type Driver struct{}

// Open fails: NFQUEUE is a part of Linux.
func Open(Options) (*Driver, error) {
	return nil, errors.New("nfqueue: NFQUEUE is a part of Linux and this is " + runtime.GOOS + ": replay a capture or use the in-memory driver here")
}

// Queues returns nothing.
func (*Driver) Queues() []pktio.Queue { return nil }

// Stats returns nothing.
func (*Driver) Stats() []Stats { return nil }

// Close does nothing.
func (*Driver) Close() error { return nil }

// Probe reports that NFQUEUE cannot be had.
func Probe(context.Context) []Check {
	return []Check{{Name: "nfqueue", Detail: "NFQUEUE is a part of Linux and this is " + runtime.GOOS}}
}
