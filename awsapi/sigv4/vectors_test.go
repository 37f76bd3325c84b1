package sigv4

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// vectors are requests with their canonical form, which a person wrote by the
// rules of the signature, and the signature that follows from it. botocore signs
// them the same: test/clients/vectors_test.py.
type vectors struct {
	AccessKey    string `json:"access_key"`
	SecretKey    string `json:"secret"`
	SessionToken string `json:"session_token"`
	Region       string
	Service      string
	Date         string
	Vectors      []vector
}

type vector struct {
	Name, Note string
	Botocore   *bool    // false: botocore signs it differently, as the note says
	Presigned  bool     // the request lacks X-Amz-Signature only
	Request    []string // lines before the body
	Body       string
	Canonical  []string // lines before the hash of the body
	Signature  string
}

func (v *vectors) Secret(id string) (secret, account string, ok bool) {
	return v.SecretKey, "111122223333", id == v.AccessKey
}

func (v *vectors) Session(id, token string) (secret, account string, expires time.Time, ok bool) {
	return v.SecretKey, "111122223333", v.now().Add(time.Hour), id == v.AccessKey && token == v.SessionToken
}

func (v *vectors) now() time.Time {
	at, err := time.Parse(dateTime, v.Date)
	if err != nil {
		panic(err)
	}
	return at
}

func loadVectors(t *testing.T) *vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectors)
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
	return v
}

// request returns the signed request as net/http reads it.
func (v *vectors) request(t *testing.T, c *vector) *http.Request {
	t.Helper()
	lines := append([]string{}, c.Request...)
	if c.Presigned {
		lines[0] = strings.Replace(lines[0], " HTTP/1.1", "&X-Amz-Signature="+c.Signature+" HTTP/1.1", 1)
	} else {
		lines = append(lines, fmt.Sprintf("Authorization: %s Credential=%s/%s/%s/%s/%s, SignedHeaders=%s, Signature=%s",
			algorithm, v.AccessKey, v.Date[:8], v.Region, v.Service, terminator, c.Canonical[len(c.Canonical)-1], c.Signature))
	}
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(c.Body)))
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(lines, "\r\n") + "\r\n\r\n" + c.Body)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVectors(t *testing.T) {
	v := loadVectors(t)
	verifier := Verifier{Region: v.Region, Service: v.Service, Keys: v}
	for _, c := range v.Vectors {
		t.Run(c.Name, func(t *testing.T) {
			s, err := verifier.Open(v.request(t, &c), v.now())
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := s.canonicalRequest("hash"); got != strings.Join(c.Canonical, "\n")+"\nhash" {
				t.Errorf("the canonical request is\n%s\nwant\n%s", got, strings.Join(c.Canonical, "\n")+"\nhash")
			}
			if err := s.Verify([]byte(c.Body)); err != nil {
				t.Error(err)
			}
			if err := s.Verify([]byte(c.Body + " ")); err == nil || err.Error() != mismatch {
				t.Errorf("with another body: %v", err)
			}
		})
	}
}
