package delivery

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// AWS: log files are published every five minutes, each of at most 75 MB, which
// is taken here of the bytes before compression.
const (
	s3Every = 5 * time.Minute
	s3Bytes = 75_000_000
)

// s3Service puts objects into a bucket.
type s3Service struct {
	client *s3.Client
	bucket string
	dir    string // of temporary files

	prefix string // of keys, "" or ending in a slash
	ident  string // <type>_<region>_<firewall> of the object's name
	folder string // <account>/network-firewall/<type>/<region>/<firewall>
	owner  string // account
}

func newS3(cfg aws.Config, o *Options) *s3Service {
	prefix := strings.TrimRight(o.Target["prefix"], "/")
	if prefix != "" {
		prefix += "/"
	}
	kind := strings.ToLower(o.LogType)
	return &s3Service{
		bucket: o.Target["bucketName"], dir: o.SpoolDir, prefix: prefix, owner: o.Account,
		ident:  fmt.Sprintf("%s_%s_%s", kind, o.Region, o.Firewall),
		folder: fmt.Sprintf("%s/network-firewall/%s/%s/%s", o.Account, kind, o.Region, o.Firewall),
		client: s3.NewFromConfig(cfg, func(so *s3.Options) {
			if so.BaseEndpoint != nil {
				// Compatible services seldom have a host name for each bucket, and
				// not all know the checksums that are newer than signatures.
				so.UsePathStyle = true
				so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			}
		}),
	}
}

func (s *s3Service) name() string { return "S3 bucket " + s.bucket }

func (s *s3Service) limits() limits {
	return limits{line: maxLine, records: 1 << 62, bytes: s3Bytes, linger: s3Every, slot: s3Every}
}

// check: S3 has no way to try a write without writing.
func (s *s3Service) check(ctx context.Context) error {
	if _, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.bucket}); err != nil {
		return explain("check", s.name(), "s3:ListBucket (for this check) and s3:PutObject", err)
	}
	return nil
}

// key is the name of an object with the logs of the five minutes from slot on.
func (s *s3Service) key(slot time.Time, id string) string {
	return fmt.Sprintf("%sAWSLogs/%s/%s/%s_network-firewall_%s_%sZ_%s.log.gz",
		s.prefix, s.folder, slot.Format("2006/01/02/15"), s.owner, s.ident, slot.Format("20060102T1504"), id)
}

func (s *s3Service) begin(id string, first time.Time) (batch, error) {
	f, err := os.CreateTemp(s.dir, "object-*.gz")
	if err != nil {
		return nil, fmt.Errorf("delivery: make temporary file: %w", err)
	}
	// Without a name it is gone when the process is.
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("delivery: make temporary file: %w", err)
	}
	// The machine's time is for packets: the fastest level.
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("delivery: compress: %w", err)
	}
	return &object{s3Service: s, key: s.key(slotOf(first, s3Every), id), file: f, zip: z}, nil
}

// object is a batch for S3: one file of lines.
type object struct {
	*s3Service
	key  string
	file *os.File
	zip  *gzip.Writer // nil: complete
	size int64        // bytes before compression
}

func (b *object) add(_ time.Time, line []byte) (bool, error) {
	if b.size+int64(len(line))+1 > s3Bytes {
		return false, nil
	}
	if _, err := b.zip.Write(line); err != nil {
		return false, fmt.Errorf("delivery: compress: %w", err)
	}
	if _, err := b.zip.Write([]byte{'\n'}); err != nil {
		return false, fmt.Errorf("delivery: compress: %w", err)
	}
	b.size += int64(len(line)) + 1
	return true, nil
}

func (b *object) send(ctx context.Context) (uint64, error) {
	if b.zip != nil {
		if err := b.zip.Close(); err != nil {
			return 0, fmt.Errorf("delivery: compress: %w", err)
		}
		b.zip = nil
	}
	length, err := b.file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("delivery: read temporary file: %w", err)
	}
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.bucket, Key: &b.key, ContentLength: &length,
		ContentType: aws.String("application/gzip"),
		Body:        io.NewSectionReader(b.file, 0, length),
	})
	if err != nil {
		return 0, explain("put object", b.name(), "s3:PutObject", err)
	}
	return 0, nil
}

func (b *object) discard() { b.file.Close() }
