package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
)

// Limits of PutRecordBatch, before the encoding in base64.
const (
	firehoseBytes   = 4 << 20
	firehoseRecords = 500
	firehoseRecord  = 1000 << 10
)

// firehoseService puts records into a delivery stream, each a line with its
// newline: Firehose puts nothing between records.
type firehoseService struct {
	client *firehose.Client
	stream string
}

func newFirehose(cfg aws.Config, o *Options) *firehoseService {
	return &firehoseService{client: firehose.NewFromConfig(cfg), stream: o.Target["deliveryStream"]}
}

func (f *firehoseService) name() string { return "delivery stream " + f.stream }

func (f *firehoseService) limits() limits {
	return limits{line: firehoseRecord - 1, records: firehoseRecords, bytes: firehoseBytes, linger: time.Second}
}

func (f *firehoseService) check(ctx context.Context) error {
	out, err := f.client.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &f.stream})
	if err != nil {
		return explain("check", f.name(), "firehose:DescribeDeliveryStream (for this check) and firehose:PutRecordBatch", err)
	}
	if d := out.DeliveryStreamDescription; d != nil && d.DeliveryStreamStatus != types.DeliveryStreamStatusActive {
		return fmt.Errorf("delivery: check: %s is in state %s; wait until it is ACTIVE", f.name(), d.DeliveryStreamStatus)
	}
	return nil
}

func (f *firehoseService) begin(string, time.Time) (batch, error) {
	return &records{firehoseService: f}, nil
}

// records is a batch for Firehose.
type records struct {
	*firehoseService
	list []types.Record // that are not acknowledged
	size int            // bytes of all that were added
}

func (b *records) add(_ time.Time, line []byte) (bool, error) {
	if len(b.list) == firehoseRecords || b.size+len(line)+1 > firehoseBytes {
		return false, nil
	}
	data := make([]byte, 0, len(line)+1)
	b.list = append(b.list, types.Record{Data: append(append(data, line...), '\n')})
	b.size += len(line) + 1
	return true, nil
}

// send keeps the records that were refused, usually for the rate of the stream,
// and only they are sent again.
func (b *records) send(ctx context.Context) (uint64, error) {
	out, err := b.client.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{DeliveryStreamName: &b.stream, Records: b.list})
	if err != nil {
		return 0, explain("put records", b.name(), "firehose:PutRecordBatch", err)
	}
	if len(out.RequestResponses) != len(b.list) {
		return 0, fmt.Errorf("delivery: put records to %s: %d answers for %d records", b.name(), len(out.RequestResponses), len(b.list))
	}
	var refused []types.Record
	var why types.PutRecordBatchResponseEntry
	for i, r := range out.RequestResponses {
		if aws.ToString(r.ErrorCode) != "" {
			refused = append(refused, b.list[i])
			why = r
		}
	}
	if len(refused) == 0 {
		return 0, nil
	}
	sent := len(b.list)
	b.list = refused
	return 0, fmt.Errorf("delivery: put records to %s: %d of %d refused: %s: %s",
		b.name(), len(refused), sent, *why.ErrorCode, aws.ToString(why.ErrorMessage))
}

func (b *records) discard() {}
