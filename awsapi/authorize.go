package awsapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/iam"
)

// authorize asks whether the caller may do what the request says, to each resource
// that it names: the caller's own policies, unless it is no user, and those of the
// resources of other accounts.
func (s *server) authorize(ctx context.Context, r *http.Request, x *exchange, service *service) error {
	ask := iam.Request{Action: signingName + ":" + x.operation, Secure: r.TLS != nil}
	if addr, err := netip.ParseAddr(x.caller.SourceIP); err == nil {
		ask.SourceIP = addr.Unmap().WithZone("")
	}
	if x.user != nil {
		ask.PrincipalARN, ask.UserName = x.user.ARN, x.user.User
	}
	ask.RequestTags, ask.TagKeys = requestTags(x.in)
	for _, arn := range resourcesOf(x.in, s.Region, x.caller.Account) {
		owner, err := s.owner(ctx, x, service, arn)
		if err != nil {
			return err
		}
		if x.user == nil {
			continue
		}
		ask.Resource, ask.ResourceTags = arn, nil
		if arn != anyResource && owner.tags != nil && x.user.NeedsResourceTags() {
			if ask.ResourceTags, err = tagsOf(ctx, owner.tags, x.caller, arn); err != nil {
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

// owner returns the service of the account that a resource is of, if that shares it
// with the caller, and the caller's own for everything else.
func (s *server) owner(ctx context.Context, x *exchange, own *service, arn string) (*service, error) {
	if own.shares == nil || arn == anyResource {
		return own, nil
	}
	foreign, err := own.shares.AuthorizeShared(ctx, x.caller, x.operation, arn)
	if err != nil {
		e, ok := errors.AsType[*wire.Error](err)
		x.refused = ok && e.Status < http.StatusInternalServerError
		return nil, err
	}
	if !foreign {
		return own, nil
	}
	return s.services.of(strings.SplitN(arn, ":", 6)[4])
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
