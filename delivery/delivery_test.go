package delivery

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// bucket is a fake S3 with one bucket, named logs.
type bucket struct {
	objects map[string]string // by key, decompressed
	order   []string          // keys as they were put
}

func (b *bucket) serve(_ string, body []byte, w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.URL.Path, "/logs/")
	switch {
	case r.Method == http.MethodHead && r.URL.Path == "/logs":
	case r.Method == http.MethodPut && ok:
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		text, _ := io.ReadAll(z)
		b.objects[key] = string(text)
		b.order = append(b.order, key)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>`)
	}
}

func TestS3(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{objects: map[string]string{}}
		f := &fake{t: t, handler: b.serve}
		d := newTest(t, f.options(t.TempDir(), S3, map[string]string{"bucketName": "logs"}))
		f.elapse(13*time.Hour + 7*time.Minute + 30*time.Second)
		logTest(t, d, "a")
		f.elapse(2 * time.Minute) // 13:09:30
		logTest(t, d, "b")
		if len(b.order) != 0 {
			t.Errorf("objects before the five minutes are over: %q", b.order)
		}
		f.elapse(time.Minute) // 13:10:30
		logTest(t, d, "c")
		if s := balanced(t, d); s.Delivered != 2 || s.Waiting != 1 || s.Oldest.Minute() != 10 {
			t.Errorf("after the first slot: %+v", s)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []struct{ key, text string }{
			{`AWSLogs/123456789012/network-firewall/alert/eu-central-1/edge/2000/01/01/13/123456789012_network-firewall_alert_eu-central-1_edge_20000101T1305Z_[0-9a-f]{16}\.log\.gz`, "a\nb\n"},
			{`AWSLogs/123456789012/network-firewall/alert/eu-central-1/edge/2000/01/01/13/123456789012_network-firewall_alert_eu-central-1_edge_20000101T1310Z_[0-9a-f]{16}\.log\.gz`, "c\n"},
		}
		for i, w := range want {
			if i >= len(b.order) || !regexp.MustCompile("^"+w.key+"$").MatchString(b.order[i]) || b.objects[b.order[i]] != w.text {
				t.Fatalf("objects %q, want %s with %q", b.objects, w.key, w.text)
			}
		}
		if s := balanced(t, d); s.Waiting != 0 || s.Spooled != 0 || len(segmentFiles(t, d.spool.dir)) != 0 {
			t.Errorf("after close: %+v", s)
		}
		if d.Log([]byte("late")) || d.Stats().Dropped != 1 {
			t.Error("taken after close")
		}
	})
}

func TestS3Prefix(t *testing.T) {
	for prefix, want := range map[string]string{"": "AWSLogs/1/", "fw": "fw/AWSLogs/1/", "a/b/": "a/b/AWSLogs/1/"} {
		s := newS3(aws.Config{}, &Options{LogType: "TLS", Account: "1", Region: "r", Firewall: "f", Target: map[string]string{"bucketName": "b", "prefix": prefix}})
		if key := s.key(time.Unix(0, 0).UTC(), "h"); key != want+"network-firewall/tls/r/f/1970/01/01/00/1_network-firewall_tls_r_f_19700101T0000Z_h.log.gz" {
			t.Errorf("prefix %q: %s", prefix, key)
		}
	}
}

// A large backlog is cut at the size of an object, and does not wait.
func TestS3Size(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{objects: map[string]string{}}
		f := &fake{t: t, handler: b.serve}
		dir := t.TempDir()
		left := openTest(t, dir, DefaultSpoolLimit) // by an earlier process
		line := []byte(strings.Repeat("x", 999_999))
		for range 80 {
			if !left.put(line, time.Now().UnixNano()) {
				t.Fatal("refused")
			}
			flushTest(t, left)
		}
		kill(left)
		d := newTest(t, f.options(dir, S3, map[string]string{"bucketName": "logs"}))
		f.elapse(time.Second)
		if len(b.order) != 1 || len(b.objects[b.order[0]]) != s3Bytes {
			t.Errorf("%d objects before the slot is over, %+v", len(b.order), d.Stats())
			for _, o := range b.objects {
				t.Errorf("of %d bytes", len(o))
			}
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(b.order) != 2 || len(b.objects[b.order[1]]) != 5_000_000 {
			t.Errorf("%d objects", len(b.order))
		}
	})
}

// A process that dies between the acknowledgement and the note of it sends the
// batch again, and more with it, under the name that it had.
func TestS3RepeatsUnderTheSameName(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{objects: map[string]string{}}
		f := &fake{t: t, handler: b.serve}
		dir := t.TempDir()
		o := f.options(dir, S3, map[string]string{"bucketName": "logs"})
		d := newTest(t, o)
		logTest(t, d, "a", "b")
		first, err := d.load()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.batch.send(t.Context()); err != nil { // and never acknowledged
			t.Fatal(err)
		}
		first.batch.discard()
		logTest(t, d, "c")
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(b.order) != 2 || b.order[0] != b.order[1] || b.objects[b.order[0]] != "a\nb\nc\n" {
			t.Errorf("objects %q: %q", b.order, b.objects)
		}
	})
}

// While a service is away records wait, attempts get rare, nothing is lost; Close
// leaves what cannot be sent to the next process.
func TestAway(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{objects: map[string]string{}}
		f := &fake{t: t, handler: b.serve, away: true}
		dir := t.TempDir()
		o := f.options(dir, S3, map[string]string{"bucketName": "logs"})
		d := newTest(t, o)
		logTest(t, d, "a")
		f.elapse(10 * time.Minute)
		f.set(true)
		f.elapse(time.Hour)
		if n := f.set(true); n < 60 || n > 125 {
			t.Errorf("%d attempts in an hour: pauses are to be 30 to 60 s", n)
		}
		s := balanced(t, d)
		if s.Waiting != 1 || s.LastError == nil || !errors.Is(s.LastError, errAway) || s.Failures < 60 || s.LastSuccess != (time.Time{}) {
			t.Errorf("while away: %+v", s)
		}
		began := time.Now()
		if err := d.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "1 records for S3 bucket logs stay in "+dir) || !errors.Is(err, errAway) {
			t.Errorf("close: %v", err)
		}
		if time.Since(began) > 0 {
			t.Errorf("close took %v", time.Since(began))
		}

		d = newTest(t, o)
		logTest(t, d, "b")
		f.set(false)
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := balanced(t, d); s.Recovered != 1 || s.Delivered != 2 || s.LastError != nil {
			t.Errorf("after the return: %+v", s)
		}
		if len(b.objects) != 2 { // of two slots
			t.Errorf("objects %q", b.objects)
		}
	})
}

func TestCloseEndsWithItsContext(t *testing.T) {
	isolate(t)
	f := &fake{t: t}
	hang := make(chan struct{})
	defer close(hang)
	f.handler = func(_ string, _ []byte, _ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-hang:
		}
	}
	d := newTest(t, f.options(t.TempDir(), S3, map[string]string{"bucketName": "logs"}))
	logTest(t, d, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	if err := d.Close(t.Context()); err == nil {
		t.Error("the second Close forgets the error")
	}
}

// logGroup is a fake CloudWatch Logs with one group, named g, and its rules.
type logGroup struct {
	t        testing.TB
	streams  map[string][]string
	calls    []int // events of each PutLogEvents
	rejected string
}

func (g *logGroup) serve(op string, body []byte, w http.ResponseWriter, _ *http.Request) {
	var in struct {
		LogGroupName, LogStreamName string
		LogEvents                   []struct {
			Message   string
			Timestamp int64
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		g.t.Error(err)
	}
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":%q,"message":"no"}`, code)
	}
	_, exists := g.streams[in.LogStreamName]
	switch op {
	case "Logs_20140328.CreateLogStream":
		switch {
		case in.LogGroupName != "g":
			refuse("ResourceNotFoundException")
		case exists:
			refuse("ResourceAlreadyExistsException")
		default:
			g.streams[in.LogStreamName] = nil
		}
	case "Logs_20140328.PutLogEvents":
		if in.LogGroupName != "g" || !exists {
			refuse("ResourceNotFoundException")
			return
		}
		size := 0
		for i, e := range in.LogEvents {
			size += len(e.Message) + 26
			if i > 0 && e.Timestamp < in.LogEvents[i-1].Timestamp || len(e.Message)+26 > 256<<10 {
				refuse("InvalidParameterException")
				return
			}
			g.streams[in.LogStreamName] = append(g.streams[in.LogStreamName], e.Message)
		}
		if size > 1<<20 || len(in.LogEvents) > 10_000 || len(in.LogEvents) == 0 {
			refuse("InvalidParameterException")
			return
		}
		g.calls = append(g.calls, len(in.LogEvents))
		fmt.Fprintf(w, `{"nextSequenceToken":"1"%s}`, g.rejected)
	default:
		g.t.Errorf("unexpected operation %s", op)
	}
}

func TestCloudWatch(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		g := &logGroup{t: t, streams: map[string][]string{}}
		f := &fake{t: t, handler: g.serve}
		d := newTest(t, f.options(t.TempDir(), CloudWatchLogs, map[string]string{"logGroup": "g"}))
		f.elapse(59*time.Minute + 59*time.Second)
		logTest(t, d, "last of the hour")
		f.elapse(1 * time.Second)
		logTest(t, d, "first of the hour")
		f.elapse(4 * time.Second)
		if got := fmt.Sprint(g.streams); got != "map[/aws/network-firewall/alert/edge_2000-01-01-00:[last of the hour] /aws/network-firewall/alert/edge_2000-01-01-01:[first of the hour]]" {
			t.Error(got)
		}
		for i := range 25_000 {
			if !d.Log(fmt.Appendf(nil, "%d", i)) {
				t.Fatal("refused")
			}
		}
		large := strings.Repeat("x", 256<<10-26)
		logTest(t, d, large, large, large, large, large)
		if d.Log([]byte(large + "x")) {
			t.Error("an event that is too large was taken")
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := g.streams["/aws/network-firewall/alert/edge_2000-01-01-01"]
		if len(got) != 1+25_000+5 || got[1] != "0" || got[25_000] != "24999" {
			t.Errorf("%d events", len(got))
		}
		if slices.Max(g.calls) != 10_000 {
			t.Errorf("events of the calls: %d", g.calls)
		}
		if s := balanced(t, d); s.TooLarge != 1 || s.Delivered != 25_007 || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The clock may have been set back within a batch; the service wants order.
func TestCloudWatchSorts(t *testing.T) {
	isolate(t)
	g := &logGroup{t: t, streams: map[string][]string{}}
	d := newTest(t, (&fake{t: t, handler: g.serve}).options(t.TempDir(), CloudWatchLogs, map[string]string{"logGroup": "g"}))
	defer d.Close(t.Context())
	now := time.Date(2026, 11, 1, 13, 30, 0, 0, time.UTC)
	b, err := d.service.begin("", now)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range []string{"c", "a", "b"} {
		if ok, err := b.add(now.Add([]time.Duration{2, 0, 1}[i]*time.Second), []byte(line)); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if _, err := b.send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := g.streams["/aws/network-firewall/alert/edge_2026-11-01-13"]; !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
}

func TestCloudWatchCountsWhatIsRejected(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		g := &logGroup{t: t, streams: map[string][]string{}, rejected: `,"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":2,"tooNewLogEventStartIndex":4}`}
		f := &fake{t: t, handler: g.serve}
		d := newTest(t, f.options(t.TempDir(), CloudWatchLogs, map[string]string{"logGroup": "g"}))
		logTest(t, d, "a", "b", "c", "d", "e")
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := balanced(t, d); s.Rejected != 3 || s.Delivered != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// deliveryStream is a fake Firehose that refuses some records at first.
type deliveryStream struct {
	t      testing.TB
	status string
	seen   map[string]int // times that a record was sent
	got    []string       // accepted
}

func (s *deliveryStream) serve(op string, body []byte, w http.ResponseWriter, _ *http.Request) {
	var in struct {
		DeliveryStreamName string
		Records            []struct{ Data []byte }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		s.t.Error(err)
	}
	switch {
	case in.DeliveryStreamName != "s":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"ResourceNotFoundException","message":"no"}`)
	case op == "Firehose_20150804.DescribeDeliveryStream":
		fmt.Fprintf(w, `{"DeliveryStreamDescription":{"DeliveryStreamName":"s","DeliveryStreamStatus":%q}}`, s.status)
	case op == "Firehose_20150804.PutRecordBatch":
		size, failed := 0, 0
		var answers []string
		for _, r := range in.Records {
			size += len(r.Data)
			line := string(r.Data)
			s.seen[line]++
			if strings.HasPrefix(line, "slow") && s.seen[line] < 3 {
				failed++
				answers = append(answers, `{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."}`)
				continue
			}
			s.got = append(s.got, line)
			answers = append(answers, `{"RecordId":"1"}`)
		}
		if size > 4<<20 || len(in.Records) > 500 {
			s.t.Errorf("%d records, %d bytes", len(in.Records), size)
		}
		fmt.Fprintf(w, `{"FailedPutCount":%d,"RequestResponses":[%s]}`, failed, strings.Join(answers, ","))
	default:
		s.t.Errorf("unexpected operation %s", op)
	}
}

func TestFirehose(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		s := &deliveryStream{t: t, seen: map[string]int{}}
		f := &fake{t: t, handler: s.serve}
		d := newTest(t, f.options(t.TempDir(), KinesisDataFirehose, map[string]string{"deliveryStream": "s"}))
		logTest(t, d, "a", "slow b", "c", "slow d")
		f.elapse(10 * time.Second)
		if want := []string{"a\n", "c\n", "slow b\n", "slow d\n"}; !slices.Equal(s.got, want) {
			t.Errorf("got %q, want %q", s.got, want)
		}
		if st := balanced(t, d); st.Delivered != 4 || st.Failures != 2 || st.LastError != nil {
			t.Errorf("%+v", st)
		}
		for i := range 1200 {
			d.Log(fmt.Appendf(nil, "%d", i))
		}
		large := strings.Repeat("x", firehoseRecord-1)
		logTest(t, d, large, large, large, large, large)
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(s.got) != 4+1205 {
			t.Errorf("%d records", len(s.got))
		}
		for line, n := range s.seen {
			if n > 1 && !strings.HasPrefix(line, "slow") && line != large+"\n" {
				t.Errorf("%.20q was sent %d times", line, n)
			}
		}
	})
}

// A spool that belonged to another type may hold what this one cannot take.
func TestTypeOfSpoolChanges(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := &bucket{}
		f := &fake{t: t, handler: b.serve, away: true}
		d := newTest(t, f.options(dir, S3, map[string]string{"bucketName": "logs"}))
		logTest(t, d, "a", strings.Repeat("x", 300<<10), "b")
		d.Close(t.Context())

		g := &logGroup{t: t, streams: map[string][]string{}}
		d = newTest(t, (&fake{t: t, handler: g.serve}).options(dir, CloudWatchLogs, map[string]string{"logGroup": "g"}))
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := balanced(t, d); s.Recovered != 3 || s.Delivered != 2 || s.Rejected != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCheck(t *testing.T) {
	isolate(t)
	answer := func(status int, body string) func(string, []byte, http.ResponseWriter, *http.Request) {
		return func(_ string, _ []byte, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	denied := answer(400, `{"__type":"AccessDeniedException","message":"not authorized to perform"}`)
	group := &logGroup{t: t, streams: map[string][]string{}}
	stream := &deliveryStream{t: t, status: "ACTIVE"}
	creating := &deliveryStream{t: t, status: "CREATING"}
	any := errors.New("any")
	for _, c := range []struct {
		name, kind, target string
		handler            func(string, []byte, http.ResponseWriter, *http.Request)
		want               error
		text               string
	}{
		{"bucket", S3, "logs", (&bucket{}).serve, nil, ""},
		{"no bucket", S3, "other", (&bucket{}).serve, ErrNotFound, "make S3 bucket other"},
		{"bucket forbidden", S3, "logs", answer(403, ""), ErrPermission, "s3:PutObject"},
		{"bucket elsewhere", S3, "logs", answer(301, ""), any, ""},
		{"group", CloudWatchLogs, "g", group.serve, nil, ""},
		{"group again", CloudWatchLogs, "g", group.serve, nil, ""},
		{"no group", CloudWatchLogs, "other", group.serve, ErrNotFound, "make log group other"},
		{"group forbidden", CloudWatchLogs, "g", denied, ErrPermission, "logs:PutLogEvents"},
		{"key unknown", CloudWatchLogs, "g", answer(400, `{"__type":"UnrecognizedClientException"}`), ErrPermission, "access key"},
		{"stream", KinesisDataFirehose, "s", stream.serve, nil, ""},
		{"stream not ready", KinesisDataFirehose, "s", creating.serve, any, "CREATING"},
		{"no stream", KinesisDataFirehose, "other", stream.serve, ErrNotFound, "make delivery stream other"},
		{"stream forbidden", KinesisDataFirehose, "s", denied, ErrPermission, "firehose:PutRecordBatch"},
		{"out of order", KinesisDataFirehose, "s", answer(500, "{}"), any, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{t: t, handler: c.handler}
			d := newTest(t, f.options(t.TempDir(), c.kind, map[string]string{targetKeys[c.kind]: c.target}))
			defer d.Close(t.Context())
			err := d.Check(t.Context())
			switch {
			case c.want == nil && err != nil, c.want != nil && err == nil:
				t.Fatalf("got %v, want %v", err, c.want)
			case c.want == nil:
				return
			}
			for _, kind := range []error{ErrPermission, ErrNotFound} {
				if errors.Is(err, kind) != (c.want == kind) {
					t.Errorf("errors.Is %v: %v", kind, err)
				}
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v does not say %q", err, c.text)
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	isolate(t)
	good := (&fake{t: t}).options(filepath.Join(t.TempDir(), "new", "dir"), S3, map[string]string{"bucketName": "b"})
	if err := newTest(t, good).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for text, change := range map[string]func(*Options){
		"no type of destination": func(o *Options) { o.Type = "Kafka" },
		"needs a logGroup":       func(o *Options) { o.Type = CloudWatchLogs },
		"no log type":            func(o *Options) { o.LogType = "alert" },
		"must be given":          func(o *Options) { o.Firewall = "" },
		"no directory":           func(o *Options) { o.SpoolDir = "" },
		"too small":              func(o *Options) { o.SpoolLimit = 1000 },
		"both its id":            func(o *Options) { o.SecretAccessKey = "" },
	} {
		o := good
		change(&o)
		if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
}

func TestBackoff(t *testing.T) {
	for failures := range 100 {
		want := min(firstRetry<<min(failures, 10), maxRetry)
		if got := backoff(failures); got < want/2 || got > want {
			t.Errorf("after %d failures: %v, want %v to %v", failures, got, want/2, want)
		}
	}
}
