package control

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/store"
)

// maxTags is how many tags a resource may have. AWS: 50.
const maxTags = 50

func checkTags(tags []wire.Tag) error {
	if n := len(tags); n > maxTags {
		return invalid("Tags limit exceeded, parameter: [%d], context: Tags", n)
	}
	seen := map[string]bool{}
	for i, tag := range tags {
		key := wire.Val(tag.Key)
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalid("Tags is invalid: keys must not begin with aws:, parameter: [%s], context: Tags[%d].Key", key, i)
		}
		if seen[key] {
			return invalid("Tags has duplicate values, parameter: [%s], context: Tags[%d].Key", key, i)
		}
		seen[key] = true
	}
	return nil
}

// TagResource adds tags to a resource, or changes the values of those that it has.
func (c *Control) TagResource(ctx context.Context, caller wire.Caller, in *wire.TagResourceRequest) (*wire.TagResourceResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	err := c.changeTags(ctx, in.ResourceArn, func(tags []wire.Tag) ([]wire.Tag, error) {
		for _, tag := range in.Tags {
			if i := indexTag(tags, *tag.Key); i >= 0 {
				tags[i] = tag
			} else {
				tags = append(tags, tag)
			}
		}
		return tags, checkTags(tags)
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "TagResource", *in.ResourceArn)
	return &wire.TagResourceResponse{}, nil
}

// UntagResource takes tags from a resource; missing ones are no error.
func (c *Control) UntagResource(ctx context.Context, caller wire.Caller, in *wire.UntagResourceRequest) (*wire.UntagResourceResponse, error) {
	err := c.changeTags(ctx, in.ResourceArn, func(tags []wire.Tag) ([]wire.Tag, error) {
		return slices.DeleteFunc(tags, func(t wire.Tag) bool { return slices.Contains(in.TagKeys, wire.Val(t.Key)) }), nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "UntagResource", *in.ResourceArn)
	return &wire.UntagResourceResponse{}, nil
}

// ListTagsForResource returns the tags of a resource.
func (c *Control) ListTagsForResource(ctx context.Context, _ wire.Caller, in *wire.ListTagsForResourceRequest) (*wire.ListTagsForResourceResponse, error) {
	p, err := newPager("ListTagsForResource", in.NextToken, in.MaxResults, wire.Val(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	key, err := c.keyOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	r, err := c.readTags(ctx, key, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	start, _ := strconv.Atoi(p.after)
	rest := r.tags[min(max(start, 0), len(r.tags)):]
	out := &wire.ListTagsForResourceResponse{Tags: append([]wire.Tag{}, rest[:min(p.size, len(rest))]...)}
	if len(rest) > p.size {
		out.NextToken = p.next(strconv.Itoa(start + p.size))
	}
	return out, nil
}

func indexTag(tags []wire.Tag, key string) int {
	return slices.IndexFunc(tags, func(t wire.Tag) bool { return wire.Val(t.Key) == key })
}

// keyOf returns where the resource with the ARN is kept.
func (c *Control) keyOf(arnText *string) (string, error) {
	kind, name, err := c.nameOf("Resource", arnText, nil, "", append([]string{typeFirewall, typePolicy, typeTLS, typeEndpoint}, groupTypes...)...)
	if err != nil {
		return "", err
	}
	return c.key(kind, name), nil
}

// tagged is a record of any type, of which only the tags are understood: the
// other members are carried along as they are.
type tagged struct {
	rev     int64
	members map[string]json.RawMessage
	tags    []wire.Tag
}

const tagsMember = "tags" // of resource.Meta

func (c *Control) readTags(ctx context.Context, key, arnText string) (tagged, error) {
	r, found, err := read[map[string]json.RawMessage](ctx, c, key)
	if err != nil {
		return tagged{}, err
	}
	if !found {
		return tagged{}, notFound(arnText)
	}
	t := tagged{rev: r.rev, members: r.value}
	if raw := r.value[tagsMember]; raw != nil {
		if err := json.Unmarshal(raw, &t.tags); err != nil {
			return tagged{}, wire.InternalServerError("the tags of %s cannot be read: %s", arnText, err)
		}
	}
	return t, nil
}

// changeTags rewrites the tags of a resource. AWS: tags are no part of what an
// update token protects.
func (c *Control) changeTags(ctx context.Context, arnText *string, edit func([]wire.Tag) ([]wire.Tag, error)) error {
	key, err := c.keyOf(arnText)
	if err != nil {
		return err
	}
	return c.change(ctx, func(t *store.Txn) error {
		r, err := c.readTags(ctx, key, *arnText)
		if err != nil {
			return err
		}
		tags, err := edit(r.tags)
		if err != nil {
			return err
		}
		if r.members[tagsMember], err = json.Marshal(tags); err != nil {
			return wire.InternalServerError("%s", err)
		}
		t.IfRev(key, r.rev)
		t.Put(key, r.members, 0)
		return nil
	})
}
