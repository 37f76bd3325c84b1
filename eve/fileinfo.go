package eve

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// files writes the files that a transaction carries in a direction, if there are any.
func (o *object) files(tx applayer.Tx, dir packet.Dir) {
	if tx.File(dir, 0) == nil {
		return
	}
	o.key("files")
	o.b = append(o.b, '[')
	for i := 0; ; i++ {
		f := tx.File(dir, i)
		if f == nil {
			break
		}
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.openElement()
		o.file(f, tx)
		o.close()
	}
	o.b = append(o.b, ']')
}

// file writes the members of a file's object.
func (o *object) file(f *file.File, tx applayer.Tx) {
	o.optBytes("filename", f.Name)
	o.bool("gaps", f.Gaps)
	o.str("state", f.State.String())
	if f.Sums {
		o.hex("md5", f.MD5[:])
		o.hex("sha1", f.SHA1[:])
	}
	if f.HasSHA2 {
		o.hex("sha256", f.SHA2[:])
	}
	o.bool("stored", false)
	o.uint("size", f.Size)
	if f.Ranged {
		o.int("start", f.Range.Start)
		o.int("end", f.Range.End)
	}
	o.uint("tx_id", tx.State().ID)
}
