package supervise

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Delays between the death of an engine and the start of the next: none at
// first, then from firstDelay doubling up to lastDelay, as long as engines die young.
const (
	firstDelay = 250 * time.Millisecond
	lastDelay  = 30 * time.Second
	youngUntil = 10 * time.Second
)

// Options set a Supervisor up. Dir, Command and Logger are required.
type Options struct {
	Dir     string // data directory, absolute
	Version string // of the engine that Command starts
	Config  string // digest of the configuration that Command gives it

	// Command returns a command that runs an engine on Dir. Its session,
	// standard input and working directory are the supervisor's to set.
	Command func() *exec.Cmd

	Logger *slog.Logger
	Now    func() time.Time                     // nil: time.Now
	After  func(time.Duration) <-chan time.Time // nil: time.After
}

// Supervisor keeps an engine running.
type Supervisor struct {
	o      Options
	client *http.Client

	mu     sync.Mutex
	engine *engine // guarded by mu: nil while none runs
	last   error   // guarded by mu: why the engine before ended; nil before the first
}

// engine is a running engine, adopted or started here.
type engine struct {
	pid  int
	gone chan struct{} // closed when it has ended
	how  error         // how it ended; set before gone is closed
	stop func(context.Context) error
}

// New returns a Supervisor, which starts nothing before Run.
func New(o Options) *Supervisor {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	return &Supervisor{o: o, client: Client(o.Dir)}
}

// Run keeps an engine running until ctx ends, and leaves it running then.
func (s *Supervisor) Run(ctx context.Context) {
	young := 0 // engines in a row that died young
	for ctx.Err() == nil {
		started := s.o.Now()
		e, err := s.adopt(ctx)
		if err != nil {
			e, err = s.start()
		}
		if err == nil {
			s.set(e)
			select {
			case <-ctx.Done():
				return
			case <-e.gone:
				err = e.how
			}
		}
		if word := lastError(s.o.Dir); word != "" {
			err = errors.New(word)
		}
		if s.o.Now().Sub(started) < youngUntil {
			young++
		} else {
			young = 0
		}
		delay := delayAfter(young)
		s.ended(err)
		s.o.Logger.Error("the engine is not running: packets meet no rules until it is", slog.Any("reason", err), slog.Duration("next_start_in", delay))
		select {
		case <-ctx.Done():
		case <-s.o.After(delay):
		}
	}
}

// delayAfter is how long to wait after that many engines in a row died young.
func delayAfter(young int) time.Duration {
	if young <= 1 {
		return 0
	}
	return min(firstDelay<<min(young-2, 16), lastDelay)
}

func (s *Supervisor) set(e *engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine = e
}

func (s *Supervisor) ended(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine, s.last = nil, why
}

func (s *Supervisor) current() (e *engine, last error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine, s.last
}

// adopt takes on the engine that answers on the socket.
func (s *Supervisor) adopt(ctx context.Context) (*engine, error) {
	// The stream is to end with the engine only: Stop waits for that after ctx has ended.
	id, stream, err := watch(context.WithoutCancel(ctx), s.client)
	if err != nil {
		return nil, err
	}
	e := &engine{pid: id.PID, gone: make(chan struct{}), stop: func(ctx context.Context) error { return post(ctx, s.client, "/stop") }}
	go func() {
		io.Copy(io.Discard, stream)
		stream.Close()
		e.how = fmt.Errorf("the engine, process %d, ended", id.PID)
		close(e.gone)
	}()
	log := s.o.Logger.With(slog.Int("pid", id.PID), slog.Time("started", id.Started))
	log.Info("adopted the engine that runs already")
	const remedy = "run \"sluice engine stop\" when its flows may be lost: a new one starts at once"
	if id.Version != s.o.Version {
		log.Warn("the engine is of another version and stays in service", slog.String("engine", id.Version), slog.String("this", s.o.Version), slog.String("remedy", remedy))
	}
	if id.Config != s.o.Config {
		log.Warn("the engine runs with another configuration and stays in service", slog.String("remedy", remedy))
	}
	return e, nil
}

// start runs a new engine.
func (s *Supervisor) start() (*engine, error) {
	// The word of the engine before is no answer to why this one ends.
	os.Remove(filepath.Join(s.o.Dir, errorName))
	cmd := s.o.Command()
	cmd.Dir = s.o.Dir
	// A session of its own: no signal to this process's group or terminal
	// reaches it, and no parent-death signal is asked for.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	e := &engine{pid: cmd.Process.Pid, gone: make(chan struct{}), stop: func(context.Context) error { return cmd.Process.Signal(syscall.SIGTERM) }}
	go func() {
		err := cmd.Wait()
		e.how = fmt.Errorf("the engine, process %d, ended: %s", e.pid, cmd.ProcessState)
		if cmd.ProcessState == nil {
			e.how = fmt.Errorf("wait for the engine, process %d: %w", e.pid, err)
		}
		close(e.gone)
	}()
	s.o.Logger.Info("started the engine", slog.Int("pid", e.pid))
	return e, nil
}

// Stop makes the running engine end in order and waits until it has. Call it
// after the end of Run, which would start the next.
func (s *Supervisor) Stop(ctx context.Context) error {
	e, _ := s.current()
	if e == nil {
		return nil
	}
	err := e.stop(ctx)
	if err == nil {
		select {
		case <-e.gone:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	select {
	case <-e.gone:
		return nil
	default:
		return notStopped(e.pid, err)
	}
}

func notStopped(pid int, cause error) error {
	return fmt.Errorf("engine: process %d was asked to stop and still runs: end it with \"kill -9 %[1]d\" if it must go: %w", pid, cause)
}

// Ready reports whether packets meet the rules that they should, and why not.
// While an engine is starting, that is why the one before it ended.
func (s *Supervisor) Ready(ctx context.Context) error {
	e, last := s.current()
	var err error
	if e != nil {
		if err = get(ctx, s.client, "/readyz"); !noneListens(err) {
			return err
		}
	}
	switch {
	case last != nil:
		return fmt.Errorf("engine: %w", last)
	case e != nil:
		return fmt.Errorf("engine: process %d is starting: %w", e.pid, err)
	}
	return errors.New("engine: it is being started")
}

// Reopen makes the engine begin new log files.
func (s *Supervisor) Reopen(ctx context.Context) error { return post(ctx, s.client, "/reopen") }

// Stop asks the engine of a data directory to end and waits until it has. No
// engine is no error.
func Stop(ctx context.Context, dir string) error {
	client := Client(dir)
	id, stream, err := watch(ctx, client)
	if noneListens(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := post(ctx, client, "/stop"); err != nil {
		return err
	}
	io.Copy(io.Discard, stream)
	if ctx.Err() != nil {
		return notStopped(id.PID, ctx.Err())
	}
	return nil
}

// noneListens reports whether a request failed because no engine has opened its socket.
func noneListens(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)
}

// watch opens the stream that ends when the engine does, or ctx.
func watch(ctx context.Context, client *http.Client) (Identity, io.ReadCloser, error) {
	resp, err := do(ctx, client, http.MethodGet, "/watch")
	if err != nil {
		return Identity{}, nil, err
	}
	r := bufio.NewReaderSize(resp.Body, 4096)
	line, err := r.ReadSlice('\n')
	var id Identity
	if err == nil {
		err = json.Unmarshal(line, &id)
	}
	if err != nil {
		resp.Body.Close()
		return Identity{}, nil, fmt.Errorf("engine: read who it is: %w", err)
	}
	return id, resp.Body, nil
}

func get(ctx context.Context, client *http.Client, page string) error {
	return discard(do(ctx, client, http.MethodGet, page))
}

func post(ctx context.Context, client *http.Client, page string) error {
	return discard(do(ctx, client, http.MethodPost, page))
}

func discard(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// do sends one request to the engine. Any answer but 200 is an error with the
// text of the answer.
func do(ctx context.Context, client *http.Client, method, page string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, URL(page), nil)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("engine: it does not answer on its socket: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		resp.Body.Close()
		return nil, fmt.Errorf("engine: %s", bytes.TrimSpace(text))
	}
	return resp, nil
}
