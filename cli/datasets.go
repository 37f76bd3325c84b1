package cli

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/engine/setfiles"
)

func dataDirFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "data-dir", ".", "directory of the files that rules name with save and state of dataset")
}

// ruleSetFiles are the data sets of rule files, where Suricata has them: lists are found as they
// are named, or in one of the folders that the rules are from; what is saved is below Dir.
type ruleSetFiles struct {
	folders []string
	setfiles.Dir
}

// Load implements detect.SetFiles.
func (s *ruleSetFiles) Load(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	for i := 0; i < len(s.folders) && err != nil && !filepath.IsAbs(name); i++ {
		if near, failed := os.Open(filepath.Join(s.folders[i], name)); failed == nil {
			f, err = near, nil
		}
	}
	if err != nil {
		return nil, err // and no typed nil
	}
	return f, nil
}

// State implements detect.SetFiles.
func (s *ruleSetFiles) State(name string) (io.ReadCloser, error) { return s.Open(name) }
