// Package credentials keeps the access keys of the API in a file of the format
// that AWS's SDKs and command line read (the shared credentials file), so that
// clients on the same machine use the very file.
package credentials

import (
	"bufio"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxFile bounds a credentials file, in bytes.
const maxFile = 1 << 20

// keyForm is AWS's: AccessKeyIdType of IAM is 16 to 128 word characters.
var keyForm = regexp.MustCompile(`^\w{16,128}$`)

// File is the access keys of a file as they were when it was read. It does not
// change and is safe for concurrent use.
type File struct {
	account string
	secrets map[string]string // by access key id
}

// Open reads the keys at path, which all act for account. If there is no file,
// it makes one with a new key in the profile "default", mode 0600, and created
// is true.
func Open(path, account string) (f *File, created bool, err error) {
	text, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		text, created = generate(), true
		err = writeWhole(path, text)
	}
	if err != nil {
		return nil, false, fmt.Errorf("credentials: %w: let this user read and write it", err)
	}
	secrets, err := parse(text)
	if err != nil {
		return nil, false, fmt.Errorf("credentials: %s: %w", path, err)
	}
	return &File{account, secrets}, created, nil
}

// Secret implements sigv4.Keys.
func (f *File) Secret(accessKeyID string) (secret, account string, ok bool) {
	secret, ok = f.secrets[accessKeyID]
	return secret, f.account, ok
}

// Keys returns all keys, id to secret. The map is the caller's.
func (f *File) Keys() map[string]string { return maps.Clone(f.secrets) }

func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(text), err
}

// generate makes a file with one key of AWS's form: an id of 20 characters from
// A-Z and 2-7, a secret of 40 from the alphabet of base64.
func generate() string {
	var random [40]byte
	rand.Read(random[:]) // never fails
	id := "AKIA" + base32.StdEncoding.EncodeToString(random[:10])
	secret := base64.StdEncoding.EncodeToString(random[10:])
	return fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
}

// writeWhole makes the file so that it is never seen in part, not even after a
// crash, and does not replace one that somebody else has made meanwhile.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// parse reads the keys of all profiles. Settings other than the two of a key
// are left to the clients.
func parse(text string) (map[string]string, error) {
	secrets := map[string]string{}
	var profile, id, secret string
	end := func() error {
		switch {
		case id == "" && secret == "":
		case !keyForm.MatchString(id):
			return fmt.Errorf("profile %q: aws_access_key_id is not 16 to 128 letters and digits", profile)
		case secret == "":
			return fmt.Errorf("profile %q: aws_secret_access_key is missing", profile)
		case secrets[id] != "" && secrets[id] != secret:
			return fmt.Errorf("profile %q: access key %s has another secret in a profile before", profile, id)
		default:
			secrets[id] = secret
		}
		id, secret = "", ""
		return nil
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxFile+1)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if name, ok := strings.CutPrefix(line, "["); ok {
			if err := end(); err != nil {
				return nil, err
			}
			profile = strings.TrimSpace(strings.TrimSuffix(name, "]"))
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			id = strings.TrimSpace(value)
		case "aws_secret_access_key":
			secret = strings.TrimSpace(value)
		}
	}
	if err := end(); err != nil {
		return nil, err
	}
	if len(secrets) == 0 {
		return nil, errors.New("there is no access key in it: add one, or remove the file to have a new one made")
	}
	return secrets, nil
}
