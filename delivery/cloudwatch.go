package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// Limits of PutLogEvents. Each event counts 26 bytes more than its message.
const (
	cloudWatchBytes    = 1 << 20
	cloudWatchEvents   = 10_000
	cloudWatchEvent    = 256 << 10
	cloudWatchOverhead = 26
)

// cloudWatchService puts events into a log group, which must exist. There is a
// log stream for each hour, so a batch never spans the 24 hours that are allowed.
type cloudWatchService struct {
	client *cloudwatchlogs.Client
	group  string
	stream string // begin of the names of log streams
}

func newCloudWatch(cfg aws.Config, o *Options) *cloudWatchService {
	return &cloudWatchService{
		client: cloudwatchlogs.NewFromConfig(cfg),
		group:  o.Target["logGroup"],
		stream: fmt.Sprintf("/aws/network-firewall/%s/%s", strings.ToLower(o.LogType), o.Firewall),
	}
}

func (c *cloudWatchService) name() string { return "log group " + c.group }

func (c *cloudWatchService) limits() limits {
	return limits{
		line: cloudWatchEvent - cloudWatchOverhead, records: cloudWatchEvents, bytes: cloudWatchBytes,
		linger: time.Second, slot: time.Hour,
	}
}

// streamAt is the log stream of the hour that t is in.
func (c *cloudWatchService) streamAt(t time.Time) string {
	return c.stream + t.UTC().Format("_2006-01-02-15")
}

// check makes the log stream of this hour, which takes the group, and the right
// that the first batch takes.
func (c *cloudWatchService) check(ctx context.Context) error {
	return c.makeStream(ctx, c.streamAt(time.Now()))
}

func (c *cloudWatchService) makeStream(ctx context.Context, stream string) error {
	_, err := c.client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &c.group, LogStreamName: &stream})
	if err != nil && !hasCode(err, "ResourceAlreadyExistsException") {
		return explain("create log stream", c.name(), "logs:CreateLogStream and logs:PutLogEvents", err)
	}
	return nil
}

func (c *cloudWatchService) begin(_ string, first time.Time) (batch, error) {
	return &events{cloudWatchService: c, stream: c.streamAt(first)}, nil
}

// events is a batch for CloudWatch Logs. An event has the time when its record
// was taken.
type events struct {
	*cloudWatchService
	stream string
	list   []types.InputLogEvent
	size   int // bytes as PutLogEvents counts them
}

func (b *events) add(t time.Time, line []byte) (bool, error) {
	size := len(line) + cloudWatchOverhead
	if len(b.list) == cloudWatchEvents || b.size+size > cloudWatchBytes {
		return false, nil
	}
	b.list = append(b.list, types.InputLogEvent{Message: aws.String(string(line)), Timestamp: aws.Int64(t.UnixMilli())})
	b.size += size
	return true, nil
}

func (b *events) send(ctx context.Context) (rejected uint64, err error) {
	// The order of time is demanded, and the clock may have been set back.
	slices.SortStableFunc(b.list, func(x, y types.InputLogEvent) int { return int(*x.Timestamp - *y.Timestamp) })
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: &b.group, LogStreamName: &b.stream, LogEvents: b.list}
	out, err := b.client.PutLogEvents(ctx, in)
	if hasCode(err, "ResourceNotFoundException") { // the group or the stream
		if err := b.makeStream(ctx, b.stream); err != nil {
			return 0, err
		}
		out, err = b.client.PutLogEvents(ctx, in)
	}
	if err != nil {
		return 0, explain("put log events", b.name(), "logs:PutLogEvents", err)
	}
	return rejectedEvents(out.RejectedLogEventsInfo, len(b.list)), nil
}

// rejectedEvents counts events that were older than 14 days or than the group
// keeps them, or more than two hours ahead. The others of the call are taken.
func rejectedEvents(info *types.RejectedLogEventsInfo, total int) uint64 {
	if info == nil {
		return 0
	}
	begin, end := 0, total // of what was taken
	for _, old := range []*int32{info.TooOldLogEventEndIndex, info.ExpiredLogEventEndIndex} {
		begin = max(begin, min(int(aws.ToInt32(old)), total))
	}
	if info.TooNewLogEventStartIndex != nil {
		end = max(begin, min(int(*info.TooNewLogEventStartIndex), total))
	}
	return uint64(total - (end - begin))
}

func (b *events) discard() {}
