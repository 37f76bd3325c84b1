package cli

import (
	"context"
	"errors"

	"github.com/sluicefw/sluice/awsapi/client"
	"github.com/sluicefw/sluice/awsapi/wire"
)

// API is what the flow commands need of the AWS Network Firewall API, and of what
// Sluice has beyond it. Refusals are errors of type *wire.Error.
type API interface {
	ListFirewalls(context.Context, *wire.ListFirewallsRequest) (*wire.ListFirewallsResponse, error)
	DescribeFirewall(context.Context, *wire.DescribeFirewallRequest) (*wire.DescribeFirewallResponse, error)
	StartFlowCapture(context.Context, *wire.StartFlowCaptureRequest) (*wire.StartFlowCaptureResponse, error)
	StartFlowFlush(context.Context, *wire.StartFlowFlushRequest) (*wire.StartFlowFlushResponse, error)
	DescribeFlowOperation(context.Context, *wire.DescribeFlowOperationRequest) (*wire.DescribeFlowOperationResponse, error)
	ListFlowOperationResults(context.Context, *wire.ListFlowOperationResultsRequest) (*wire.ListFlowOperationResultsResponse, error)

	// Sluice's own; others refuse them with an UnknownOperationException.
	ListFlows(context.Context, *wire.ListFlowsRequest) (*wire.ListFlowsResponse, error)
	GetStaleFlows(context.Context, *wire.GetStaleFlowsRequest) (*wire.GetStaleFlowsResponse, error)
	PreviewFlowFlush(context.Context, *wire.PreviewFlowFlushRequest) (*wire.PreviewFlowFlushResponse, error)
	FlushFlows(context.Context, *wire.FlushFlowsRequest) (*wire.FlushFlowsResponse, error)
	FlushStaleFlows(context.Context, *wire.FlushStaleFlowsRequest) (*wire.FlushStaleFlowsResponse, error)
}

// errOnlySluice stands for the refusal of an API that does not have Sluice's own
// operations.
var errOnlySluice = errors.New("only Sluice has this operation, and the API at this endpoint does not know it")

// onlySluice explains the refusal of one of Sluice's own operations.
func onlySluice(err error) error {
	if refusal, ok := errors.AsType[*wire.Error](err); ok && refusal.Code == "UnknownOperationException" {
		return errOnlySluice
	}
	return err
}

// LocalEndpoint is where sluice serve listens when nothing else is configured.
const LocalEndpoint = "http://127.0.0.1:4580"

// EndpointAWS is the value of --endpoint-url that means AWS's own endpoint.
const EndpointAWS = "aws"

// ConnectOptions say where the API is. Empty members take what the AWS SDKs
// would take: environment, shared configuration.
type ConnectOptions struct {
	Endpoint string // base URL, EndpointAWS, or "": LocalEndpoint unless the environment names one
	Region   string
	Profile  string // of the shared configuration
}

// Connect returns a client of the API that o describes. It calls nobody yet.
func Connect(ctx context.Context, o ConnectOptions) (API, error) {
	co := client.Options{Endpoint: o.Endpoint, DefaultEndpoint: LocalEndpoint, Region: o.Region, Profile: o.Profile}
	if o.Endpoint == EndpointAWS {
		// Nobody flushes AWS's flows by having forgotten to name an endpoint.
		co.Endpoint, co.DefaultEndpoint = "", ""
	}
	c, err := client.New(ctx, co)
	if err != nil {
		return nil, err
	}
	return remote{c}, nil
}

// remote is the API over HTTP.
type remote struct{ c *client.Client }

func (r remote) ListFirewalls(ctx context.Context, in *wire.ListFirewallsRequest) (*wire.ListFirewallsResponse, error) {
	return client.Call[wire.ListFirewallsRequest, wire.ListFirewallsResponse](ctx, r.c, "ListFirewalls", in)
}

func (r remote) DescribeFirewall(ctx context.Context, in *wire.DescribeFirewallRequest) (*wire.DescribeFirewallResponse, error) {
	return client.Call[wire.DescribeFirewallRequest, wire.DescribeFirewallResponse](ctx, r.c, "DescribeFirewall", in)
}

func (r remote) StartFlowCapture(ctx context.Context, in *wire.StartFlowCaptureRequest) (*wire.StartFlowCaptureResponse, error) {
	return client.Call[wire.StartFlowCaptureRequest, wire.StartFlowCaptureResponse](ctx, r.c, "StartFlowCapture", in)
}

func (r remote) StartFlowFlush(ctx context.Context, in *wire.StartFlowFlushRequest) (*wire.StartFlowFlushResponse, error) {
	return client.Call[wire.StartFlowFlushRequest, wire.StartFlowFlushResponse](ctx, r.c, "StartFlowFlush", in)
}

func (r remote) DescribeFlowOperation(ctx context.Context, in *wire.DescribeFlowOperationRequest) (*wire.DescribeFlowOperationResponse, error) {
	return client.Call[wire.DescribeFlowOperationRequest, wire.DescribeFlowOperationResponse](ctx, r.c, "DescribeFlowOperation", in)
}

func (r remote) ListFlowOperationResults(ctx context.Context, in *wire.ListFlowOperationResultsRequest) (*wire.ListFlowOperationResultsResponse, error) {
	return client.Call[wire.ListFlowOperationResultsRequest, wire.ListFlowOperationResultsResponse](ctx, r.c, "ListFlowOperationResults", in)
}

func (r remote) ListFlows(ctx context.Context, in *wire.ListFlowsRequest) (*wire.ListFlowsResponse, error) {
	return client.Call[wire.ListFlowsRequest, wire.ListFlowsResponse](ctx, r.c, "ListFlows", in)
}

func (r remote) GetStaleFlows(ctx context.Context, in *wire.GetStaleFlowsRequest) (*wire.GetStaleFlowsResponse, error) {
	return client.Call[wire.GetStaleFlowsRequest, wire.GetStaleFlowsResponse](ctx, r.c, "GetStaleFlows", in)
}

func (r remote) PreviewFlowFlush(ctx context.Context, in *wire.PreviewFlowFlushRequest) (*wire.PreviewFlowFlushResponse, error) {
	return client.Call[wire.PreviewFlowFlushRequest, wire.PreviewFlowFlushResponse](ctx, r.c, "PreviewFlowFlush", in)
}

func (r remote) FlushFlows(ctx context.Context, in *wire.FlushFlowsRequest) (*wire.FlushFlowsResponse, error) {
	return client.Call[wire.FlushFlowsRequest, wire.FlushFlowsResponse](ctx, r.c, "Sluice_20261101.StartFlowFlush", in)
}

func (r remote) FlushStaleFlows(ctx context.Context, in *wire.FlushStaleFlowsRequest) (*wire.FlushStaleFlowsResponse, error) {
	return client.Call[wire.FlushStaleFlowsRequest, wire.FlushStaleFlowsResponse](ctx, r.c, "FlushStaleFlows", in)
}
