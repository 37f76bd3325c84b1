package eve

import "github.com/sluicefw/sluice/engine/applayer/ftp"

func (o *object) ftp(tx *ftp.Tx) {
	o.open("ftp")
	if len(tx.Command) > 0 {
		o.bytes("command", tx.Command)
		if tx.HasArgument {
			o.bytes("command_data", tx.Argument)
			o.bool("command_truncated", tx.CommandCut)
		}
	}
	if len(tx.Replies) > 0 {
		o.array("completion_code")
		for _, r := range tx.Replies {
			if len(r.Code) > 0 {
				o.element()
				o.b = appendString(o.b, r.Code)
			}
		}
		o.closeArray()
		o.array("reply")
		for _, r := range tx.Replies {
			o.element()
			o.b = appendString(o.b, r.Text)
		}
		o.closeArray()
	}
	if tx.Port > 0 {
		o.uint("dynamic_port", uint64(tx.Port))
		if tx.Active {
			o.str("mode", "active")
		}
	}
	if len(tx.Replies) > 0 {
		o.str("reply_received", "yes")
	} else {
		o.str("reply_received", "no")
	}
	o.bool("reply_truncated", tx.ReplyCut)
	o.close()
}
