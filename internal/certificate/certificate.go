// Package certificate is the TLS certificate of a server: read from files that
// somebody else renews, or self-signed and kept in files of its own.
package certificate

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
)

// Certificate is a certificate with its key. It can be read again while a server
// uses it. All methods are safe for concurrent use.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// Load reads a certificate, with the intermediate ones behind it, and its key,
// both in PEM form.
func Load(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again, for new connections. After an error the
// certificate is what it was.
func (c *Certificate) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the TLS certificate %s and its key %s: %w: both must be PEM files, and belong together", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	return nil
}

// File is the path of the certificate.
func (c *Certificate) File() string { return c.certFile }

// TLS is the configuration of a server with this certificate. It speaks TLS 1.2
// and 1.3; RFC 8996 forbids what is older.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}
