package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
)

// Options says how to run an embedded etcd. Only Dir is required.
type Options struct {
	Dir          string        // data directory, made if missing, mode 0700
	SocketDir    string        // where the unix socket goes; empty: Dir
	Quota        int64         // bytes of the database; 0 means 2 GiB
	Timeout      time.Duration // of every call; 0 means 5 s
	StartTimeout time.Duration // 0 means 30 s
	Logger       *slog.Logger  // nil: discard
}

// socketName is the file name of the unix socket.
const socketName = "store.sock"

// maxSocketPath is what fits into sockaddr_un on Linux with its final NUL.
const maxSocketPath = 107

// embedded is an etcd server in this process.
type embedded struct {
	server   *embed.Etcd
	starting <-chan started // of a server that was given up before it had started, else nil
	lock     *os.File
	socket   string
	failure  *failure

	// inService is false while the server starts and stops: etcd then warns of
	// what is as it should be.
	inService atomic.Bool
}

// started is how a start went.
type started struct {
	server *embed.Etcd
	err    error
}

// Open starts an etcd of one member in this process, on o.Dir, and connects to
// it. Other processes of the same user reach it with Dial at Endpoint.
func Open(ctx context.Context, o Options) (*Store, error) {
	log, timeout := defaults(o.Logger, o.Timeout)
	if o.StartTimeout <= 0 {
		o.StartTimeout = 30 * time.Second
	}
	if o.Quota <= 0 {
		o.Quota = 2 << 30
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", o.Dir, err)
	}
	if o.SocketDir == "" {
		o.SocketDir = dir
	}
	socket, err := filepath.Abs(filepath.Join(o.SocketDir, socketName))
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", dir, err)
	}
	if len(socket) > maxSocketPath {
		return nil, fmt.Errorf("store: the socket path %s is longer than %d bytes: choose a shorter data directory", socket, maxSocketPath)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{lock: lock, socket: socket, failure: newFailure()}
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("store: make the socket's directory: %w", err), e.close())
	}
	if err := checkDatabase(dir); err != nil {
		return nil, errors.Join(err, e.close())
	}
	if err := e.start(ctx, e.config(dir, o.Quota, log), o.StartTimeout); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", dir, err), e.close())
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("store: restrict %s to its owner: %w", socket, err), e.close())
	}
	ended, end := context.WithCancel(context.Background())
	s := &Store{
		client: v3client.New(e.server.Server), timeout: timeout, log: log,
		at: "unix://" + socket, ended: ended, end: end,
		checkEvery: defaultCheck, embedded: e,
	}
	if err := s.reclaim(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	e.inService.Store(true)
	return s, nil
}

// Endpoint is where other processes reach this store: the unix socket of an
// embedded one, the endpoints given to Dial otherwise.
func (s *Store) Endpoint() string { return s.at }

// SocketEndpoint is the Endpoint of a store that some process runs with Open on
// dir, an absolute path, with its socket there.
func SocketEndpoint(dir string) string { return "unix://" + filepath.Join(dir, socketName) }

// lockDir makes the directory if need be and takes the lock that keeps a
// second process off it. The kernel drops the lock when the process ends.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: make the data directory: %w: choose a directory that this user can write", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: the data directory %s cannot be written: give it to the user that runs this, or choose another: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner := make([]byte, 20)
		n, _ := f.Read(owner)
		f.Close()
		return nil, fmt.Errorf("store: the data directory %s is in use by process %s: stop that one, or choose another directory",
			dir, strings.TrimSpace(string(owner[:n])))
	}
	if err := writeOwner(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("store: the data directory %s cannot be written: free some space or choose another: %w", dir, err)
	}
	return f, nil
}

func writeOwner(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}

// checkDatabase opens etcd's database once, read only, and closes it: etcd
// opens it on a goroutine of its own, where a broken file would end the process.
func checkDatabase(dir string) (err error) {
	file := filepath.Join(dir, "member", "snap", "db")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	// A database without its log makes etcd wait for a leader for ever.
	if logs, _ := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal")); len(logs) == 0 {
		return damaged(dir, errors.New("the database is there, but its log is not"))
	}
	defer func() {
		if p := recover(); p != nil {
			err = damaged(dir, fmt.Errorf("%v", p))
		}
	}()
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("store: the database %s is in use by another process: stop it, or choose another data directory", file)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("store: open the database: %w: give it to the user that runs this", err)
	case err != nil:
		return damaged(dir, err)
	}
	return db.Close()
}

func damaged(dir string, cause error) error {
	return fmt.Errorf("store: the data in %s is damaged: restore the directory from a backup, or move it away to start empty: %w", dir, cause)
}

// config is that of one member that talks to nobody but its clients. Ticks
// are short because there is no network between members to wait for: it
// elects itself within 100 ms.
func (e *embedded) config(dir string, quota int64, log *slog.Logger) *embed.Config {
	c := embed.NewConfig()
	c.Name = "sluice"
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.InitialClusterToken = fmt.Sprintf("%s-%d", c.Name, time.Now().UnixNano()) // makes the cluster id differ when a directory is replaced
	c.Dir = dir
	c.TickMs, c.ElectionMs = 10, 100
	c.ListenPeerUrls = nil
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: e.socket}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.EnableGRPCGateway = false
	c.MaxRequestBytes = maxRequest
	c.QuotaBackendBytes = quota
	c.AutoCompactionMode = embed.CompactorModePeriodic
	c.AutoCompactionRetention = "10m" // a watch that is further behind starts over with a snapshot
	c.MaxWalFiles, c.MaxSnapFiles = 2, 2
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(log, func() bool { return !e.inService.Load() }, e.failure.set))
	return c
}

// start runs the server and waits until it takes requests.
func (e *embedded) start(ctx context.Context, c *embed.Config, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	starting := make(chan started, 1)
	go func() {
		r := started{err: errors.New("start was given up")}
		defer func() { // also reached by Goexit, after a fatal log entry
			if p := recover(); p != nil {
				e.failure.set(fmt.Errorf("etcd: %v", p))
			}
			starting <- r
		}()
		r.server, r.err = embed.StartEtcd(c)
	}()
	select {
	case r := <-starting:
		if err := e.failure.get(); err != nil {
			return startFailed(c.Dir, err)
		}
		if r.err != nil {
			return startFailed(c.Dir, r.err)
		}
		e.server = r.server
	case <-e.failure.ch:
		return startFailed(c.Dir, e.failure.get())
	case <-timer.C:
		e.starting = starting
		return fmt.Errorf("etcd did not start within %v: look for a slow or hanging disk", limit)
	case <-ctx.Done():
		e.starting = starting
		return ctx.Err()
	}
	select {
	case <-e.server.Server.ReadyNotify():
		return nil
	case <-e.failure.ch:
		return startFailed(c.Dir, e.failure.get())
	case err := <-e.server.Err():
		if err == nil {
			err = errors.New("etcd stopped")
		}
		return startFailed(c.Dir, err)
	case <-timer.C:
		return fmt.Errorf("etcd was not ready within %v: look for a slow or hanging disk", limit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startFailed says what can be done about an error of a starting server.
func startFailed(dir string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk is full: free at least 200 MB: %w", err)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("it cannot be written: give it to the user that runs this, or choose another: %w", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("the socket is taken: %w", err)
	}
	return damaged(dir, err)
}

// reclaim lifts etcd's space alarm, which outlives restarts, after giving back
// the space of old revisions. If that was not enough, the next write raises
// the alarm again. It may take long on a big database, so it has its own bound.
func (s *Store) reclaim(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	alarms, err := s.client.AlarmList(ctx)
	if err != nil {
		return fmt.Errorf("store: list alarms: %w", err)
	}
	full := slices.ContainsFunc(alarms.Alarms, func(a *etcdserverpb.AlarmMember) bool {
		return a.Alarm == etcdserverpb.AlarmType_NOSPACE
	})
	if !full {
		return nil
	}
	now, err := s.client.Get(ctx, "\x00", clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("store: reclaim space: %w", err)
	}
	if _, err := s.client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical()); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("store: reclaim space: %w", err)
	}
	if _, err := s.client.Defragment(ctx, s.at); err != nil {
		return fmt.Errorf("store: reclaim space: %w", err)
	}
	if _, err := s.client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("store: lift the space alarm: %w", err)
	}
	s.log.Info("the store was full: gave back the space of old revisions")
	return nil
}

// close stops the server. One that has failed may never stop; it is left
// behind after a while, because the process is about to end anyway.
func (e *embedded) close() error {
	e.inService.Store(false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if e.starting != nil {
			e.server = (<-e.starting).server
		}
		if e.server == nil {
			return
		}
		select {
		case <-e.server.Server.ReadyNotify():
		default:
			e.server.Server.Stop() // Close waits for ever for a server that never got ready
		}
		e.server.Close()
	}()
	patience := 10 * time.Second // etcd itself gives clients with open streams 5 s to leave
	if e.failure.get() != nil {
		patience = time.Second
	}
	var err error
	select {
	case <-done:
	case <-time.After(patience):
		err = fmt.Errorf("store: etcd did not stop within %v: its last answered write is safe, the process can end", patience)
	}
	return errors.Join(err, e.lock.Close())
}
