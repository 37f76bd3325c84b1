package eve

import (
	"time"

	"github.com/sluicefw/sluice/engine/applayer/tls"
)

// tls writes the extended form of Suricata 7, with fingerprints of client and server.
func (o *object) tls(tx *tls.Tx) {
	o.open("tls")
	cert, fingerprint := tx.Certificate()
	if cert != nil {
		o.bytes("subject", cert.Subject)
		o.bytes("issuerdn", cert.Issuer)
	}
	if tx.Resumed() {
		o.bool("session_resumed", true)
	}
	if cert != nil {
		o.bytes("serial", cert.Serial)
		o.bytes("fingerprint", fingerprint)
	}
	o.optBytes("sni", tx.SNI())
	o.str("version", tx.Version())
	if cert != nil {
		o.validity(cert)
	}
	o.fingerprint("ja3", tx.JA3())
	o.fingerprint("ja3s", tx.JA3S())
	if cert, fingerprint := tx.ClientCertificate(); cert != nil {
		o.open("client")
		o.bytes("subject", cert.Subject)
		o.bytes("issuerdn", cert.Issuer)
		o.bytes("fingerprint", fingerprint)
		o.bytes("serial", cert.Serial)
		o.validity(cert)
		o.close()
	}
	o.close()
}

func (o *object) validity(c *tls.Certificate) {
	o.certTime("notbefore", c.NotBefore*int64(time.Second))
	o.certTime("notafter", c.NotAfter*int64(time.Second))
}

// fingerprint is there even when empty, as on AWS.
func (o *object) fingerprint(k string, f *tls.Fingerprint) {
	o.open(k)
	o.optBytes("hash", f.Hash())
	o.optBytes("string", f.Text())
	o.close()
}
