package awsapi

import (
	"context"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// rest implements one operation and leaves the others to its fallback, which
// tells by its error that it ran.
type rest struct{}

func (rest) ListProxies(context.Context, wire.Caller, *wire.ListProxiesRequest) (*wire.ListProxiesResponse, error) {
	return nil, nil
}

func (rest) Fallback(_ context.Context, _ wire.Caller, op *wire.Operation, in any) (any, error) {
	return nil, wire.InvalidRequestException("%s %T", op.Name, in)
}

func TestFallback(t *testing.T) {
	s, err := newService(rest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range wire.Operations() {
		h := s.handlers[op.Target()]
		if h == nil {
			t.Errorf("%s is answered by nobody", op.Target())
			continue
		}
		in := op.NewRequest()
		_, err := h(t.Context(), wire.Caller{}, in)
		switch {
		case op.Name == "ListProxies" && err != nil:
			t.Errorf("the fallback took an operation that there is a method for: %v", err)
		case op.Name == "DescribeProxy" && (err == nil || err.Error() != "InvalidRequestException: DescribeProxy *wire.DescribeProxyRequest"):
			t.Errorf("got %v", err)
		case op.Name != "ListProxies" && err == nil:
			t.Errorf("%s did not reach the fallback", op.Target())
		}
	}
}
