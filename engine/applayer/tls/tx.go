package tls

import (
	"fmt"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// versionSSL2 is how Suricata writes SSL 2 beside 0x0300 and its like.
const versionSSL2 = 0x0200

// Tx is the handshake of a connection: its only transaction.
type Tx struct {
	applayer.TxState
	state          uint8
	greeted        bool // a ClientHello is read
	agreed         bool // a ServerHello is read
	resumed        bool // client and server have met before, it seems
	client, server Hello
	again          Hello // the ClientHello that answers a HelloRetryRequest
	ja3, ja3s      Fingerprint
	ja4            []byte
	chains         [2]chain
}

func (t *Tx) reset() {
	t.TxState.Reset(0)
	t.client.Reset()
	t.server.Reset()
	t.again.Reset()
	t.ja3.reset()
	t.ja3s.reset()
	t.ja4 = t.ja4[:0]
	for i := range t.chains {
		t.chains[i].reset()
	}
	t.state, t.greeted, t.agreed, t.resumed = 0, false, false, false
}

func (t *Tx) memory() int {
	return t.client.Memory() + t.server.Memory() + t.again.Memory() + cap(t.ja3.text) + cap(t.ja3s.text) + cap(t.ja4) +
		t.chains[0].memory() + t.chains[1].memory()
}

// SNI returns the name that the client asked for, as it was sent, empty without one.
func (t *Tx) SNI() []byte { return t.client.SNI }

// Certificate returns the server's certificate, and its SHA-1 fingerprint, or nil before it is
// there: in TLS 1.3 it never is.
func (t *Tx) Certificate() (c *Certificate, fingerprint []byte) {
	chain := &t.chains[packet.ToClient]
	if !chain.first.present {
		return nil, nil
	}
	return &chain.first, chain.fingerprint[:]
}

// Resumed reports whether an earlier session is resumed, as far as it shows.
func (t *Tx) Resumed() bool {
	return t.resumed && t.agreed && !t.chains[packet.ToClient].first.present && !t.hidden()
}

// hidden reports whether certificates are encrypted: client and server have agreed on TLS 1.3.
func (t *Tx) hidden() bool {
	return t.agreed && t.client.Supported != 0 && is13(t.server.Chosen())
}

// Telling reports whether the handshake came as far as records of it go: to the server's
// certificate, or to where it is known that there will be none.
func (t *Tx) Telling() bool {
	return t.chains[packet.ToClient].first.present || t.resumed || t.client.ticket || t.hidden()
}

// ClientCertificate is Certificate for the client's.
func (t *Tx) ClientCertificate() (c *Certificate, fingerprint []byte) {
	chain := &t.chains[packet.ToServer]
	if !chain.first.present {
		return nil, nil
	}
	return &chain.first, chain.fingerprint[:]
}

// JA3 and JA3S return the fingerprints of client and server.
func (t *Tx) JA3() *Fingerprint { return &t.ja3 }

// JA3S returns the fingerprint of the server.
func (t *Tx) JA3S() *Fingerprint { return &t.ja3s }

// is13 tells TLS 1.3 and its drafts.
func is13(version uint16) bool { return version == Version13 || version>>8 == 0x7f }

// Version returns the name that EVE has for the version that the server picked,
// "UNDETERMINED" before.
func (t *Tx) Version() string {
	if !t.agreed {
		return "UNDETERMINED"
	}
	return versionName(t.server.Chosen())
}

func versionName(v uint16) string {
	switch {
	case v == versionSSL2:
		return "SSLv2"
	case v >= 0x0300 && v <= Version13:
		return [...]string{"SSLv3", "TLSv1", "TLS 1.1", "TLS 1.2", "TLS 1.3"}[v-0x0300]
	case v>>8 == 0x7f:
		return fmt.Sprintf("TLS 1.3 draft-%02d", v&0xff)
	}
	return fmt.Sprintf("0x%04x", v)
}

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	server, client := &t.chains[packet.ToClient], &t.chains[packet.ToServer]
	switch b {
	case applayer.TLSCerts:
		return server.cert(i)
	case applayer.TLSClientCerts:
		return client.cert(i)
	}
	if i > 0 {
		return nil, false
	}
	switch b {
	case applayer.TLSSNI:
		return present(t.client.SNI)
	case applayer.TLSClientRandom:
		return t.client.Random[:], t.greeted
	case applayer.TLSClientRandomTime:
		return t.client.Random[:4], t.greeted
	case applayer.TLSClientRandomBytes:
		return t.client.Random[4:], t.greeted
	case applayer.TLSServerRandom:
		return t.server.Random[:], t.agreed
	case applayer.TLSServerRandomTime:
		return t.server.Random[:4], t.agreed
	case applayer.TLSServerRandomBytes:
		return t.server.Random[4:], t.agreed
	case applayer.JA3Hash:
		return present(t.ja3.Hash())
	case applayer.JA3String:
		return present(t.ja3.Text())
	case applayer.JA3SHash:
		return present(t.ja3s.Hash())
	case applayer.JA3SString:
		return present(t.ja3s.Text())
	case applayer.JA4Hash:
		if len(t.ja4) == 0 && len(t.ja3.text) > 0 {
			t.ja4 = t.client.AppendJA4(t.ja4, false)
		}
		return present(t.ja4)
	case applayer.TLSCertSubject:
		return server.first.Subject, server.first.present
	case applayer.TLSCertIssuer:
		return server.first.Issuer, server.first.present
	case applayer.TLSCertSerial:
		return server.first.Serial, server.first.present
	case applayer.TLSCertFingerprint:
		return server.fingerprint[:], server.first.present
	case applayer.TLSClientCertSubject:
		return client.first.Subject, client.first.present
	case applayer.TLSClientCertIssuer:
		return client.first.Issuer, client.first.present
	case applayer.TLSClientCertSerial:
		return client.first.Serial, client.first.present
	case applayer.TLSClientCertFingerprint:
		return client.fingerprint[:], client.first.present
	}
	return nil, false
}

// present is the answer of Value where an empty value is none.
func present(v []byte) ([]byte, bool) { return v, len(v) > 0 }

// cert returns certificate i of the message at hand.
func (c *chain) cert(i int) (der []byte, ok bool) {
	for list := c.certs; ; i-- {
		der, list, ok = takeCertificate(list)
		if !ok || i == 0 {
			return der, ok
		}
	}
}

// Number implements applayer.Tx.
func (t *Tx) Number(n applayer.Number, i int) (value uint64, ok bool) {
	if i > 0 {
		return 0, false
	}
	server, client := &t.chains[packet.ToClient], &t.chains[packet.ToServer]
	switch n {
	case applayer.TLSClientSeesState, applayer.TLSServerSeesState:
		return uint64(t.state), true
	case applayer.TLSClientVersion:
		return uint64(t.client.Chosen()), t.greeted
	case applayer.TLSServerVersion:
		return uint64(t.server.Chosen()), t.agreed
	case applayer.TLSCertChainLen:
		return uint64(server.count), server.count > 0
	case applayer.TLSClientCertChainLen:
		return uint64(client.count), client.count > 0
	case applayer.TLSCertNotBefore:
		return uint64(server.first.NotBefore), server.first.present
	case applayer.TLSCertNotAfter:
		return uint64(server.first.NotAfter), server.first.present
	case applayer.TLSClientCertNotBefore:
		return uint64(client.first.NotBefore), client.first.present
	case applayer.TLSClientCertNotAfter:
		return uint64(client.first.NotAfter), client.first.present
	}
	return 0, false
}
