package awsapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// TestSignedForms sends one request over HTTP in every form that clients sign:
// how a body is framed does not matter, what was signed of it does.
func TestSignedForms(t *testing.T) {
	h, _ := newServer(t, Options{Keys: keys{}})
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	const body = `{"FirewallName":"edge"}`
	const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	creds := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}
	const streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	chunk := "17;chunk-signature=" + strings.Repeat("0", 64) + "\r\n" + body + "\r\n0;chunk-signature=" + strings.Repeat("0", 64) + "\r\n\r\n"

	for _, c := range []struct {
		name    string
		body    io.Reader // a reader that is none of the standard library's known ones is sent in HTTP chunks
		hash    string    // that is signed
		headers map[string]string
		presign bool
		change  func(*http.Request)
		status  int
		code    string
		text    string
	}{
		{name: "a body with its length", body: strings.NewReader(body), hash: hash, status: 200},
		{name: "a body in HTTP chunks", body: io.MultiReader(strings.NewReader(body)), hash: hash, status: 200},
		{name: "its hash in a header", body: strings.NewReader(body), hash: hash, headers: map[string]string{"X-Amz-Content-Sha256": hash}, status: 200},
		{name: "presigned", body: strings.NewReader(body), hash: hash, presign: true, status: 200},
		{name: "presigned, another body", body: strings.NewReader(strings.ToUpper(body)), hash: hash, presign: true, status: 403, code: "InvalidSignatureException", text: mismatch},
		{name: "presigned, by GET", hash: hash, presign: true, change: func(r *http.Request) { r.Method, r.Body, r.ContentLength = "GET", nil, 0 },
			status: 404, code: "UnknownOperationException", text: "The API is served by POST requests to / only."},
		{name: "presigned, without a body", hash: hash, presign: true, status: 403, code: "InvalidSignatureException", text: mismatch},
		{name: "a body that is not signed", body: strings.NewReader(body), hash: "UNSIGNED-PAYLOAD", headers: map[string]string{"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"},
			status: 403, code: "InvalidSignatureException", text: mismatch + " The whole body must be signed here: X-Amz-Content-Sha256 cannot be 'UNSIGNED-PAYLOAD'."},
		{name: "a body signed in chunks", body: strings.NewReader(chunk), hash: streaming, headers: map[string]string{
			"X-Amz-Content-Sha256": streaming, "Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "23"},
			status: 403, code: "InvalidSignatureException", text: mismatch + " The whole body must be signed here: X-Amz-Content-Sha256 cannot be '" + streaming + "'."},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequest("POST", s.URL+"/", c.body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("X-Amz-Target", prefix+"DescribeFirewall")
			for name, value := range c.headers {
				r.Header.Set(name, value)
			}
			signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
			if c.presign {
				// The length is signed if it is known; that of a changed body differs.
				length := r.ContentLength
				r.ContentLength = -1
				signed, _, err := signer.PresignHTTP(t.Context(), creds, r, c.hash, signingName, "us-east-1", time.Now())
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = length
				if r.URL, err = r.URL.Parse(signed); err != nil {
					t.Fatal(err)
				}
			} else if err := signer.SignHTTP(t.Context(), creds, r, c.hash, signingName, "us-east-1", time.Now()); err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(r)
			}
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var answer struct {
				Type    string `json:"__type"`
				Message string
			}
			text, err := io.ReadAll(resp.Body)
			if err != nil || json.Unmarshal(bytes.TrimSpace(text), &answer) != nil {
				t.Fatalf("%q, %v", text, err)
			}
			if resp.StatusCode != c.status || answer.Type != c.code || answer.Message != c.text {
				t.Errorf("got  %d %s: %s\nwant %d %s: %s", resp.StatusCode, answer.Type, answer.Message, c.status, c.code, c.text)
			}
		})
	}
}
