package smtp

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// Rules look at a file when this much of it is new, or it has ended, and at once where packets wait for them; and at as
// much again of what came before, up to a limit. Suricata's figures.
const (
	contentPart   = 32 << 10
	contentBefore = 4 << 10
	contentLimit  = 100_000
)

// Attachment is a file of a message, with the part of it that rules are to look at.
type Attachment struct {
	file.File
	data  []byte
	base  int // offset of data[0] in the file
	shown int // bytes of data that the last event was about
	seen  int // of them, those that rules have looked at
	told  bool
}

// Write takes the next bytes.
func (a *Attachment) Write(b []byte) {
	a.File.Write(b)
	if drop := a.seen - contentBefore; drop > 0 {
		a.data = a.data[:copy(a.data, a.data[drop:])]
		a.base, a.shown, a.seen = a.base+drop, a.shown-drop, a.seen-drop
	}
	a.data = append(a.data, b[:max(0, min(len(b), contentLimit-a.base-len(a.data)))]...)
}

// lose notes that n bytes are missing: rules look at what comes behind them as at another part.
func (a *Attachment) lose(n int) {
	a.Lose(n)
	a.base, a.data, a.shown, a.seen = int(min(a.Size, contentLimit)), a.data[:0], 0, 0
}

// look raises the event of the file if there is something new for rules: its name, then enough bytes, or any if
// packets wait for rules, and its end.
func (a *Attachment) look(out *applayer.Sink, tx *Tx, wait bool) {
	fresh, ended := len(a.data)-a.shown, a.State != file.Open
	if a.told && !ended && fresh < contentPart && (!wait || fresh == 0) {
		return
	}
	if a.told || ended {
		a.shown = len(a.data)
	}
	a.told = true
	out.Emit(applayer.SMTPFile, packet.ToServer, tx)
}

// release notes that rules have looked at what they were shown.
func (a *Attachment) release() {
	if a.seen = a.shown; a.State != file.Open {
		a.data, a.shown, a.seen = nil, 0, 0
	}
}

func (a *Attachment) memory() int { return a.Memory() + cap(a.data) + 256 }

// shownFile returns the file of value i of what rules look at, nil for none.
func (t *Tx) shownFile(i int) *Attachment {
	for _, a := range t.Email.Files {
		if a.shown > 0 {
			if i == 0 {
				return a
			}
			i--
		}
	}
	return nil
}

// File implements applayer.Tx: attachments.
func (t *Tx) File(dir packet.Dir, i int) *file.File {
	if dir == packet.ToClient || i >= len(t.Email.Files) {
		return nil
	}
	return &t.Email.Files[i].File
}

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	switch b {
	case applayer.SMTPFileName:
		if i < len(t.Email.Files) {
			return t.Email.Files[i].Name, true
		}
	case applayer.SMTPFileData:
		if a := t.shownFile(i); a != nil {
			return a.data[:a.shown], true
		}
	}
	return nil, false
}

// Piece implements applayer.Tx.
func (t *Tx) Piece(b applayer.Buffer, i int) (offset int, last bool) {
	if b == applayer.SMTPFileData {
		if a := t.shownFile(i); a != nil {
			return a.base, a.State != file.Open
		}
	}
	return 0, true
}
