package eve

import "github.com/sluicefw/sluice/engine/applayer/smtp"

// smtp writes the envelope, and the message beside it.
func (o *object) smtp(tx *smtp.Tx) {
	o.open("smtp")
	if tx.Helo != nil {
		o.bytes("helo", tx.Helo)
	}
	if tx.From != nil {
		o.bytes("mail_from", tx.From)
	}
	o.texts("rcpt_to", tx.To)
	o.close()
	if !tx.HasEmail {
		return
	}
	e := &tx.Email
	o.open("email")
	o.str("status", e.Status)
	if e.From != nil {
		o.bytes("from", e.From)
	}
	o.texts("to", e.To)
	o.texts("cc", e.CC)
	o.texts("attachment", e.Attachments)
	if o.texts("url", e.URLs); e.OuterURL {
		o.bool("has_ipv6_url", e.AddressURL) // Suricata notes IPv4 addresses here too
		o.bool("has_ipv4_url", false)
		o.bool("has_exe_url", e.ProgramURL)
	}
	o.close()
}

// texts writes an array of strings, unless there are none.
func (o *object) texts(k string, all [][]byte) {
	if len(all) == 0 {
		return
	}
	o.array(k)
	for _, s := range all {
		o.element()
		o.b = appendString(o.b, s)
	}
	o.closeArray()
}
