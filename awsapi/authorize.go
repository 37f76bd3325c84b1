package awsapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/iam"
)

// authorize asks the caller's policies whether they may do what the request
// says, to each resource that it names. Callers that are no users may.
func (s *server) authorize(ctx context.Context, r *http.Request, x *exchange, service *service) error {
	if x.user == nil {
		return nil
	}
	ask := iam.Request{
		Action:       signingName + ":" + x.operation,
		PrincipalARN: x.user.ARN, UserName: x.user.User,
		Secure: r.TLS != nil,
	}
	if addr, err := netip.ParseAddr(x.caller.SourceIP); err == nil {
		ask.SourceIP = addr.Unmap().WithZone("")
	}
	ask.RequestTags, ask.TagKeys = requestTags(x.in)
	for _, arn := range resourcesOf(x.in, s.Region, x.caller.Account) {
		ask.Resource, ask.ResourceTags = arn, nil
		if arn != anyResource && service.tags != nil && x.user.NeedsResourceTags() {
			var err error
			if ask.ResourceTags, err = tagsOf(ctx, service.tags, x.caller, arn); err != nil {
				return err
			}
		}
		why := ""
		switch iam.Evaluate(x.user.Policies, &ask) {
		case iam.Allow:
			continue
		case iam.ExplicitDeny:
			why = "with an explicit deny in an identity-based policy"
		default:
			why = "because no identity-based policy allows the " + ask.Action + " action"
		}
		x.refused = true
		return wire.AccessDeniedException("User: %s is not authorized to perform: %s on resource: %s %s", x.user.ARN, ask.Action, arn, why)
	}
	return nil
}

// tagsOf returns the tags of a resource: none if there is no such resource, or
// it cannot have any.
func tagsOf(ctx context.Context, service tagLister, caller wire.Caller, arn string) (map[string]string, error) {
	tags := make(map[string]string)
	in := &wire.ListTagsForResourceRequest{ResourceArn: &arn, MaxResults: wire.Ptr[int32](100)}
	for {
		out, err := service.ListTagsForResource(ctx, caller, in)
		if e, ok := errors.AsType[*wire.Error](err); ok && e.Status < http.StatusInternalServerError {
			return tags, nil
		}
		if err != nil {
			return nil, err
		}
		for _, t := range out.Tags {
			tags[wire.Val(t.Key)] = wire.Val(t.Value)
		}
		if out.NextToken == nil {
			return tags, nil
		}
		in.NextToken = out.NextToken
	}
}
