package eve

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Dirs keeps the logs of each log group in a directory of its own below a root.
// Names of groups come through the API and are not trusted.
type Dirs struct{ root string }

// NewDirs returns the directories below root, which need not exist yet.
func NewDirs(root string) Dirs { return Dirs{root} }

// Dir creates and returns the directory of group. Different groups have
// different directories, each exactly one level below the root.
func (d Dirs) Dir(group string) (string, error) {
	if group == "" {
		return "", errors.New("eve: log group has no name")
	}
	dir := filepath.Join(d.root, dirName(group))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("eve: create directory of log group %q: %w", group, err)
	}
	return dir, nil
}

// maxDirName is well below the 255 bytes that file systems allow.
const maxDirName = 200

// dirName maps names of groups one-to-one to names of files. Letters, digits,
// '-', '_' and inner dots stay, '/' becomes '+', everything else %HH. Names that
// get too long end in '~' and a hash instead.
func dirName(group string) string {
	var b strings.Builder
	for i := 0; i < len(group) && b.Len() <= maxDirName; i++ {
		switch c := group[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		case c == '/':
			b.WriteByte('+')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= maxDirName {
		return b.String()
	}
	sum := sha256.Sum256([]byte(group))
	return b.String()[:maxDirName-33] + "~" + hex.EncodeToString(sum[:16])
}
