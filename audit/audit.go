// Package audit logs calls of the API: who, what, from where, with which
// answer, as records in the format of AWS CloudTrail, one JSON object per line.
//
// Source: AWS, "CloudTrail record contents", event version 1.08. Refused
// requests are logged as well, which CloudTrail does for denied ones only; as
// anybody can cause them, their number in time is bounded.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/sluicefw/sluice/eve"
)

// Call is one call of the API as the server saw it.
type Call struct {
	Time        time.Time
	Source      string // such as "network-firewall.amazonaws.com"
	Operation   string // "Unknown" if the request named none of ours
	Region      string
	SourceIP    string
	UserAgent   string
	Identity    Identity
	Request     any // pointer to the decoded request; nil if it got no further
	Response    any // pointer to the answer; nil if there is none
	ErrorCode   string
	Error       string
	RequestID   string
	ReadOnly    bool // the operation changes nothing; its response is not logged
	Refused     bool // for what the caller is, not for what was asked for
	RecipientID string
}

// Identity says who called. An identity that was not proven has type Unknown,
// and the access key that was claimed.
type Identity struct {
	Type        string `json:"type"` // IAMUser, Root or Unknown
	PrincipalID string `json:"principalId,omitempty"`
	ARN         string `json:"arn,omitempty"`
	AccountID   string `json:"accountId,omitempty"`
	AccessKeyID string `json:"accessKeyId,omitempty"`
	UserName    string `json:"userName,omitempty"`
}

// record is a line of the log. Members that CloudTrail writes as null are not omitted.
type record struct {
	Version      string         `json:"eventVersion"`
	Identity     Identity       `json:"userIdentity"`
	Time         string         `json:"eventTime"`
	Source       string         `json:"eventSource"`
	Name         string         `json:"eventName"`
	Region       string         `json:"awsRegion"`
	SourceIP     string         `json:"sourceIPAddress"`
	UserAgent    string         `json:"userAgent"`
	ErrorCode    string         `json:"errorCode,omitempty"`
	ErrorMessage string         `json:"errorMessage,omitempty"`
	Request      any            `json:"requestParameters"`
	Response     any            `json:"responseElements"`
	Additional   map[string]any `json:"additionalEventData,omitempty"`
	RequestID    string         `json:"requestID"`
	EventID      string         `json:"eventID"`
	ReadOnly     bool           `json:"readOnly"`
	Type         string         `json:"eventType"`
	Management   bool           `json:"managementEvent"`
	Recipient    string         `json:"recipientAccountId,omitempty"`
	Category     string         `json:"eventCategory"`
}

// Refused calls that are logged: this many at once, then this many per second.
// Those of proven callers and of others are counted apart, so that noise from
// outside cannot hide a user who tries doors.
const (
	refusedBurst = 100
	refusedRate  = 10
)

// Log writes calls to a sink. It is safe for concurrent use.
type Log struct {
	sink eve.Sink
	file *eve.FileWriter // below sink; nil if that is not Open's
	log  *slog.Logger

	mu         sync.Mutex
	proven     bucket    // guarded by mu
	unproven   bucket    // guarded by mu
	suppressed uint64    // guarded by mu: refused calls since the last record, not logged
	lastLoss   time.Time // guarded by mu: when a lost record was last reported
}

// New returns a log on sink, which Close closes. Records that the sink drops are
// reported to log, at most once a minute; nil means slog.Default().
func New(sink eve.Sink, log *slog.Logger) *Log {
	if log == nil {
		log = slog.Default()
	}
	return &Log{sink: sink, log: log}
}

// Open returns a log in a file: rotated at 100 MB, with 20 rotated files kept. Its
// directory is made, mode 0700. When the disk is full or too slow, calls go on:
// up to 32 MiB of records wait, later ones are lost and reported to log.
func Open(path string, log *slog.Logger) (*Log, error) {
	if log == nil {
		log = slog.Default()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("audit: make the log's directory: %w: let this user write there", err)
	}
	w, err := eve.OpenFile(path, eve.FileOptions{
		MaxBytes: 100 << 20, Keep: 20,
		OnError: func(err error) { log.Error("audit log", slog.Any("error", err)) },
	})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l := New(eve.NewLogger(w, eve.LoggerOptions{Limit: 32 << 20, Log: log}), log)
	l.file = w
	return l, nil
}

// Reopen makes the next record go to a newly opened file, for those who rotate
// logs by other means.
func (l *Log) Reopen() {
	if l.file != nil {
		l.file.Reopen()
	}
}

// Close writes what waits, until ctx ends, and closes the sink. Later calls are
// not logged.
func (l *Log) Close(ctx context.Context) error { return l.sink.Close(ctx) }

// Write logs one call. It does not wait for the disk.
func (l *Log) Write(c *Call) {
	suppressed, ok := l.admit(c)
	if !ok {
		return
	}
	r := record{
		Version: "1.08", Identity: c.Identity,
		Time: c.Time.UTC().Format("2006-01-02T15:04:05Z"), Source: c.Source, Name: c.Operation, Region: c.Region,
		SourceIP: c.SourceIP, UserAgent: cut(c.UserAgent), ErrorCode: c.ErrorCode, ErrorMessage: cut(c.Error),
		RequestID: c.RequestID, EventID: uuid.NewString(), ReadOnly: c.ReadOnly, Type: "AwsApiCall",
		Management: true, Recipient: c.RecipientID, Category: "Management",
	}
	r.Identity.AccessKeyID = cut(r.Identity.AccessKeyID)
	if c.Request != nil {
		r.Request = summarize(c.Request)
	}
	if c.Response != nil && !c.ReadOnly && c.ErrorCode == "" {
		r.Response = summarize(c.Response)
	}
	if suppressed > 0 {
		r.Additional = map[string]any{"refusedCallsNotLogged": suppressed}
	}
	line, err := json.Marshal(&r)
	if err != nil {
		// Strings, numbers, truths, maps and lists of these always encode.
		panic(err)
	}
	if !l.sink.Log(line) {
		l.lost(c.Time)
	}
}

// admit decides whether c is logged, and takes the count of those before it that
// were not.
func (l *Log) admit(c *Call) (suppressed uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Refused {
		b := &l.proven
		if c.Identity.Type == "Unknown" {
			b = &l.unproven
		}
		if !b.take(c.Time) {
			l.suppressed++
			return 0, false
		}
	}
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}

// lost reports that a record was dropped.
func (l *Log) lost(now time.Time) {
	l.mu.Lock()
	report := l.lastLoss.IsZero() || now.Sub(l.lastLoss) >= time.Minute
	if report {
		l.lastLoss = now
	}
	l.mu.Unlock()
	if report {
		l.log.Error("audit records are lost: the disk is full or too slow")
	}
}

// bucket is a token bucket.
type bucket struct {
	missing float64 // tokens that were taken and have not come back
	last    time.Time
}

func (b *bucket) take(now time.Time) bool {
	if past := now.Sub(b.last).Seconds(); past > 0 {
		b.missing = max(0, b.missing-past*refusedRate)
		b.last = now
	}
	if b.missing > refusedBurst-1 {
		return false
	}
	b.missing++
	return true
}

// maxString bounds strings in a record, in bytes.
const maxString = 1 << 10

// cut shortens a string to maxString and says so.
func cut(s string) string {
	if len(s) <= maxString {
		return s
	}
	end := maxString
	for end > maxString-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s... (cut: %d bytes)", s[:end], len(s))
}
