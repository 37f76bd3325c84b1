package tls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/applayer"
)

// certificate makes one with crypto/x509.
func certificate(t testing.TB, subject pkix.Name) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xbeef), Subject: subject,
		NotBefore: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2050, 6, 7, 8, 9, 10, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCertificate(t *testing.T) {
	der := certificate(t, pkix.Name{
		Country: []string{"US"}, Organization: []string{"Ex, Inc"}, CommonName: "exämple.com",
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 99}, Value: "x"}},
	})
	var c Certificate
	if fault := c.read(der); fault != noFault {
		t.Fatal(fault)
	}
	if got, want := string(c.Subject), "C=US, O=Ex, Inc, CN=exämple.com, OID(2.5.4.99)=x"; got != want || string(c.Issuer) != want {
		t.Errorf("subject %q, issuer %q, want %q", got, c.Issuer, want)
	}
	if string(c.Serial) != "00:BE:EF" {
		t.Errorf("serial %s", c.Serial)
	}
	if before, after := time.Unix(c.NotBefore, 0).UTC(), time.Unix(c.NotAfter, 0).UTC(); before != time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC) ||
		after != time.Date(2050, 6, 7, 8, 9, 10, 0, time.UTC) {
		t.Errorf("valid from %v to %v", before, after)
	}
	for n := range der {
		if fault := c.read(der[:n]); fault == noFault {
			t.Errorf("the first %d bytes make a certificate", n)
		}
	}
}

func TestCertificateFaults(t *testing.T) {
	der := certificate(t, pkix.Name{CommonName: "example.com"})
	version := bytes.Index(der, []byte{tagVersion, 3, tagInteger, 1, 2}) // version 3
	for name, test := range map[string]struct {
		at   int
		b    byte
		want applayer.Anomaly
	}{
		"no sequence":      {0, tagSet, applayer.AnomalyTLSCertificateInvalidDER},
		"longer than sent": {2, 0x7f, applayer.AnomalyTLSInvalidCertificate},
		"version 4":        {version + 4, 3, applayer.AnomalyTLSCertificateInvalidVersion},
		"no serial":        {version + 5, 4, applayer.AnomalyTLSCertificateInvalidSerial},
	} {
		d := append([]byte(nil), der...)
		d[test.at] = test.b
		var c Certificate
		if got := c.read(d); got != test.want || c.present {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	zero := certificate(t, pkix.Name{CommonName: "good.example\x00.evil.example"})
	var c Certificate
	if got := c.read(zero); got != applayer.AnomalyTLSCertificateInvalidIssuer {
		t.Errorf("a zero byte in the name: %v", got)
	}
}

// The published example of JA4: tls-handshake.pcapng of its authors.
func TestFingerprints(t *testing.T) {
	h := Hello{
		Version: 0x0303, Supported: Version13, SNI: []byte("example.com"), ALPN: []byte("h2"),
		Ciphers: []uint16{0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		Extensions: []uint16{0x6a6a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
			0xff01, 0x000b, 0x000a, 0x0015},
		Signatures: []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
		Groups:     []uint16{0x2a2a, 29, 23}, Points: []byte{0},
	}
	ja3 := "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53," +
		"27-0-51-16-17513-23-45-13-5-35-18-43-65281-11-10-21,29-23,0"
	if got := string(h.AppendJA3(nil)); got != ja3 {
		t.Errorf("JA3 %s", got)
	}
	if got, want := string(h.AppendJA4(nil, false)), "t13d1516h2_8daaf6152771_e5627efa2ab1"; got != want {
		t.Errorf("JA4 %s, want %s", got, want)
	}
}
