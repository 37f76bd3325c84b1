package control

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// defaultPage is how many items a page has when the request does not say.
const defaultPage = 100

// pageToken is a NextToken: where the next page starts, bound to the request
// that it continues.
type pageToken struct {
	Request string `json:"r"` // digest of the operation and its parameters
	After   string `json:"a"` // the last item of the page before
}

// pager reads and writes the tokens of one request.
type pager struct {
	request string
	after   string // "" for the first page
	size    int
}

// newPager checks the paging members of a request. parameters are all others
// that select what is listed.
func newPager(operation string, token *string, size *int32, parameters ...any) (pager, error) {
	digest := sha256.Sum256(fmt.Appendf(nil, "%s %q", operation, parameters))
	p := pager{request: hex.EncodeToString(digest[:8]), size: defaultPage}
	if size != nil && *size > 0 {
		p.size = int(*size)
	}
	if token == nil {
		return p, nil
	}
	var t pageToken
	text, err := base64.StdEncoding.DecodeString(*token)
	if err != nil || json.Unmarshal(text, &t) != nil || t.Request != p.request || t.After == "" {
		return p, invalid("NextToken is invalid, parameter: [%s], context: NextToken", *token)
	}
	p.after = t.After
	return p, nil
}

// next returns the token of the page after the item named last.
func (p pager) next(last string) *string {
	text, err := json.Marshal(pageToken{Request: p.request, After: last})
	if err != nil {
		panic(err) // two strings always encode
	}
	return wire.Ptr(base64.StdEncoding.EncodeToString(text))
}

// pageOf returns the items of a page and the token of the next one. all is in
// growing order of place, and what differs has different places.
func pageOf[T any](p pager, all []T, place func(*T) string) (page []T, next *string) {
	for i := range all {
		if place(&all[i]) <= p.after {
			continue
		}
		if len(page) == p.size {
			return page, p.next(place(&page[len(page)-1]))
		}
		page = append(page, all[i])
	}
	return page, nil
}

// newestFirst is the place of something in a list that begins with the newest.
func newestFirst(made time.Time, id string) string {
	return fmt.Sprintf("%020d %s", math.MaxInt64-made.UnixNano(), id)
}
