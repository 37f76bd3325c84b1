package iam

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sealer encrypts with AES-256-GCM: a random nonce of 12 bytes, then the
// ciphertext with its tag. What a text was sealed as must be given to open it,
// so that one record's secret cannot be moved to another.
type sealer struct{ aead cipher.AEAD }

// newSealer derives a key for one purpose (RFC 5869, HKDF with SHA-256), so that
// a text sealed for one is meaningless for another.
func newSealer(master []byte, purpose string) (*sealer, error) {
	key, err := hkdf.Key(sha256.New, master, nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("iam: derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("iam: derive a key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("iam: derive a key: %w", err)
	}
	return &sealer{aead}, nil
}

func (s *sealer) seal(text []byte, as string) []byte {
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(text)+s.aead.Overhead())
	rand.Read(nonce) // never fails
	return s.aead.Seal(nonce, nonce, text, []byte(as))
}

// open reports false for anything that was not sealed with this key and as this.
func (s *sealer) open(sealed []byte, as string) (text []byte, ok bool) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, false
	}
	text, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(as))
	return text, err == nil
}

// masterBytes is the length of the key in the key file, which holds it as
// hexadecimal digits.
const masterBytes = 32

// readMaster reads the key file. The error wraps fs.ErrNotExist if there is none.
func readMaster(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("iam: open the key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("iam: read the key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("iam: the key file %s can be read by other users: run chmod 600 on it", path)
	}
	text := make([]byte, 2*masterBytes+2)
	n, _ := f.Read(text)
	master, err := hex.DecodeString(strings.TrimSpace(string(text[:n])))
	if err != nil || len(master) != masterBytes {
		return nil, fmt.Errorf("iam: the key file %s does not hold %d hexadecimal digits: restore it from a backup", path, 2*masterBytes)
	}
	return master, nil
}

// makeMaster writes a new key file, whole or not at all, and returns its key. If
// another process was faster, that one's key is returned.
func makeMaster(path string) ([]byte, error) {
	failed := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("iam: make the key file: %w: choose a place that this user can write", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return failed(err)
	}
	master := make([]byte, masterBytes)
	rand.Read(master)
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return failed(err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(master) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return failed(err)
	}
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return readMaster(path)
	case err != nil:
		return failed(err)
	}
	return master, nil
}
