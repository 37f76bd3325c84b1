package nfqueue

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// kernelCounters reads the table of queues that the kernel shows in procfs,
// one line of numbers for a queue:
//
//	queue, port id of its owner, undecided packets, copy mode, copy range,
//	dropped (queue full), dropped (socket buffer full), last id, 1
type kernelCounters struct {
	mu   sync.Mutex
	file *os.File // under mu; nil after close. It shows the namespace that it was opened in.
}

const (
	columnQueue   = 0
	columnOwner   = 1
	columnDropped = 5
	columns       = 9

	// maxTable bounds what is read: 256 queues need less than 20 KiB.
	maxTable = 64 << 10
)

func openKernelCounters() (*kernelCounters, error) {
	f, err := os.Open("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if err != nil {
		return nil, fmt.Errorf("nfqueue: opening the kernel's counters: %w", err)
	}
	return &kernelCounters{file: f}, nil
}

// queueDropped returns how many packets found the queue full. The kernel
// counts in 32 bits, so the number wraps.
func (k *kernelCounters) queueDropped(num uint16) (uint32, bool) {
	return k.column(num, columnDropped)
}

// owner tells whether a queue is bound and describes by whom. A netlink port
// id usually is the process id of its owner.
func owner(num uint16) (who string, bound bool) {
	k, err := openKernelCounters()
	if err != nil {
		return "", false
	}
	defer k.close()
	port, bound := k.column(num, columnOwner)
	if !bound {
		return "", false
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", port))
	if err != nil {
		return fmt.Sprintf("netlink port %d", port), true
	}
	return fmt.Sprintf("netlink port %d, by that number the process %s", port, strings.TrimSpace(string(name))), true
}

// column returns one number of a queue's line.
func (k *kernelCounters) column(num uint16, column int) (uint32, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return 0, false
	}
	b := make([]byte, maxTable)
	n, _ := k.file.ReadAt(b, 0) // io.EOF as a rule; without data there is no line to find
	return parseTable(string(b[:n]), num, column)
}

// parseTable finds a column of a queue in the text of the table.
func parseTable(table string, num uint16, column int) (uint32, bool) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < columns || fields[columnQueue] != strconv.Itoa(int(num)) {
			continue
		}
		v, err := strconv.ParseUint(fields[column], 10, 32)
		return uint32(v), err == nil
	}
	return 0, false
}

func (k *kernelCounters) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file != nil {
		k.file.Close()
		k.file = nil
	}
}
