package delivery

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// What an operator has to repair. Errors of Check and Stats.LastError match them
// with errors.Is.
var (
	ErrPermission = errors.New("the service refuses the access")
	ErrNotFound   = errors.New("the destination does not exist")
)

// explain says what an error of a service means. need names the rights that the
// operation takes.
func explain(op, target, need string, err error) error {
	switch kindOf(err) {
	case ErrPermission:
		return fmt.Errorf("delivery: %s: %w; check the access key and grant it %s on %s: %w", op, ErrPermission, need, target, err)
	case ErrNotFound:
		return fmt.Errorf("delivery: %s: %w; make %s, or correct its name or Region: %w", op, ErrNotFound, target, err)
	}
	return fmt.Errorf("delivery: %s to %s: %w", op, target, err)
}

// kindOf returns ErrPermission, ErrNotFound or nil. Compatible services do not
// agree on codes, so the status counts where the code says nothing.
func kindOf(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code := api.ErrorCode()
		switch code {
		case "NoSuchBucket", "ResourceNotFoundException", "NotFound":
			return ErrNotFound
		case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException", "UnrecognizedClientException",
			"InvalidClientTokenId", "IncompleteSignature", "Forbidden", "NotAuthorized", "OptInRequired":
			return ErrPermission
		}
		for _, prefix := range []string{"AccessDenied", "ExpiredToken", "MissingAuthenticationToken"} {
			if strings.HasPrefix(code, prefix) {
				return ErrPermission
			}
		}
	}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		switch response.HTTPStatusCode() {
		case http.StatusUnauthorized, http.StatusForbidden:
			return ErrPermission
		case http.StatusNotFound:
			return ErrNotFound
		}
	}
	return nil
}

// hasCode tells whether err is an answer of the service with this error code.
func hasCode(err error, code string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == code
}
