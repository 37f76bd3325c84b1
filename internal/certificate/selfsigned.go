package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// The files of a self-signed certificate, in their directory.
const (
	CertFile = "cert.pem"
	KeyFile  = "key.pem"
)

const (
	// lifetime is long: clients trust this very certificate and not whoever issued
	// it, so every new one has to be carried to all of them.
	lifetime = 10 * 365 * 24 * time.Hour
	// renewal is how long before its end a certificate is not used any more.
	renewal = 30 * 24 * time.Hour
	// backdate allows for clients whose clock is behind.
	backdate = time.Hour
)

// SelfSigned loads the certificate in dir. If there is none, or none that is good
// for all of hosts and for a while after now, it makes one first; made tells.
// hosts are IP addresses and DNS names; localhost and its addresses are added.
//
// The certificate signs for itself only (it is no authority), so that whoever
// gets hold of its key can forge no other host. The key has mode 0600.
func SelfSigned(dir string, hosts []string, now time.Time) (c *Certificate, made bool, err error) {
	certFile, keyFile := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	hosts = append([]string{"localhost", "127.0.0.1", "::1"}, hosts...)
	if usable(certFile, keyFile, hosts, now) != nil {
		made = true
		if err := create(certFile, keyFile, hosts, now); err != nil {
			return nil, false, fmt.Errorf("make a TLS certificate in %s: %w", dir, err)
		}
	}
	c, err = Load(certFile, keyFile)
	return c, made, err
}

// usable says why files cannot serve hosts.
func usable(certFile, keyFile string, hosts []string, now time.Time) error {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	if now.Before(pair.Leaf.NotBefore) || now.After(pair.Leaf.NotAfter.Add(-renewal)) {
		return errors.New("it is not valid now, or not for long")
	}
	for _, h := range hosts {
		if err := pair.Leaf.VerifyHostname(h); err != nil {
			return err
		}
	}
	return nil
}

// create makes a key and a certificate for hosts. Whoever reads the files
// meanwhile sees a whole one, or two that do not belong together.
func create(certFile, keyFile string, hosts []string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Sluice"}, // SerialNumber nil: a random one
		NotBefore: now.Add(-backdate), NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if a, err := netip.ParseAddr(h); err == nil {
			template.IPAddresses = append(template.IPAddresses, a.Unmap().AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(certFile), 0o755); err != nil {
		return err
	}
	if err := replace(keyFile, 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: private}); err != nil {
		return err
	}
	return replace(certFile, 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: cert})
}

// replace puts a file in the place of another in one step.
func replace(path string, mode os.FileMode, block *pem.Block) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(pem.Encode(f, block), f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
