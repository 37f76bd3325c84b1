package tls

import (
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
)

func FuzzTLS(f *testing.F) {
	hello := "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + string(make([]byte, 32)) + "\x00\x00\x02\x13\x01\x01\x00\x00\x00"
	apptest.Fuzz(f, func() applayer.Parser { return &Parser{} }, MaxMemory,
		[2]string{hello, "\x15\x03\x03\x00\x02\x02\x28"},
		[2]string{"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", "\x16\x03\x03\x00\x04\x0e\x00\x00\x00"},
		[2]string{hello, "\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03" + string(make([]byte, 32)) + "\x00\x13\x01\x00\x00\x00" +
			"\x16\x03\x03\x00\x0b\x0b\x00\x00\x07\x00\x00\x04\x00\x00\x01\x30\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x01\x00"})
}

// FuzzCertificate must neither panic nor leave a certificate half read.
func FuzzCertificate(f *testing.F) {
	f.Add([]byte("\x30\x10\x30\x0e\xa0\x03\x02\x01\x02\x02\x01\x01\x30\x00\x30\x00\x30\x00"))
	f.Fuzz(func(t *testing.T, der []byte) {
		var c Certificate
		if fault := c.read(der); (fault == noFault) != c.present {
			t.Errorf("fault %v, present %v", fault, c.present)
		}
		if c.memory() > 8*maxName+4*len(der) {
			t.Errorf("%d bytes of names from %d", c.memory(), len(der))
		}
	})
}
