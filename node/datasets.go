package node

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/setfiles"
	"github.com/sluicefw/sluice/resource"
)

// dataSetsEvery is how often changed data sets are saved, where the options say nothing.
const dataSetsEvery = time.Minute

// setFiles are the files of a firewall's data sets. Lists are its account's; what rules save is the
// firewall's own, so that two firewalls with the same rules do not write one file.
type setFiles struct{ lists, own setfiles.Dir }

// setFiles returns those of a firewall, or nil where the node has no directory for them. No name in a rule
// begins with @.
func (n *Node) setFiles(id resource.FirewallID) detect.SetFiles {
	dir := n.opt.DataSetsDir
	if dir == "" {
		return nil
	}
	if id.Account != n.opt.Scope.Account {
		dir = filepath.Join(dir, "@"+id.Account)
	}
	return setFiles{setfiles.Dir(dir), setfiles.Dir(filepath.Join(dir, "@saved", id.Name))}
}

// Load implements detect.SetFiles.
func (s setFiles) Load(name string) (io.ReadCloser, error) { return s.lists.Open(name) }

// State implements detect.SetFiles. What nothing has been saved of begins as the list of that name.
func (s setFiles) State(name string) (io.ReadCloser, error) {
	f, err := s.own.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s.lists.Open(name)
	}
	return f, err
}

// Save implements detect.SetFiles.
func (s setFiles) Save(name string, write func(io.Writer) error) error {
	return s.own.Save(name, write)
}

// saveDataSets saves what has changed of all firewalls' data sets, again and again until ctx ends.
func (n *Node) saveDataSets(ctx context.Context) {
	tick := time.NewTicker(n.opt.DataSetsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, fw := range n.all() {
				n.saveDataSetsOf(fw, fw.engine.Program())
			}
		}
	}
}

// readAgain has policies compiled anew that may lack nothing but a file. It says whether there are any.
func (n *Node) readAgain() (any bool) {
	for _, fw := range n.all() {
		if fw.unread {
			fw.mu.Lock()
			fw.tried = nil
			fw.mu.Unlock()
			any = true
		}
	}
	return any
}

// saveDataSetsOf saves what has changed of the data sets of a firewall's program, if it has one.
// What fails is tried again the next time.
func (n *Node) saveDataSetsOf(fw *firewall, p *detect.Program) {
	if p == nil {
		return
	}
	written, err := p.Rules.SaveSets(false)
	fw.setsSaved.Add(uint64(written))
	if err != nil {
		fw.setsFailed.Add(1)
		n.opt.Logger.Error("data sets cannot be saved; their values are in memory only", slog.String("firewall", fw.label), slog.Any("error", err))
	}
}

// setUse is what the data sets of the program in force hold, and how many values they had no room for.
func (fw *firewall) setUse() (bytes, refused uint64) {
	if p := fw.engine.Program(); p != nil {
		return p.Rules.SetUse()
	}
	return 0, 0
}
