package wire

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// Error is a refusal as it travels to the client.
type Error struct {
	Code    string // exception name, such as "InvalidRequestException"
	Message string // one sentence for the operator
	Status  int    // HTTP status
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// envelope is an error's body. AWS's clients look the message up as "Message",
// other services write it as "message".
type envelope struct {
	Type    string `json:"__type"`
	Message string `json:"Message"`
	Lower   string `json:"message,omitzero"`
}

// Body returns the error as JSON text.
func (e *Error) Body() []byte {
	text, err := json.Marshal(envelope{Type: e.Code, Message: strings.ToValidUTF8(e.Message, "\uFFFD")})
	if err != nil {
		// Two valid strings always encode; Code is one of our own names.
		panic(err)
	}
	return text
}

// ParseError reads an error's body as a client sees it. A body that is no such
// JSON gives an error whose code is the HTTP status' text.
func ParseError(status int, body []byte) *Error {
	var env envelope
	if err := json.Unmarshal(body, &env); err != nil || env.Type == "" {
		return &Error{Code: http.StatusText(status), Message: "the answer is not from this API", Status: status}
	}
	e := &Error{Code: env.Type[strings.LastIndexByte(env.Type, '#')+1:], Message: env.Message, Status: status}
	if e.Message == "" {
		e.Message = env.Lower
	}
	return e
}

// The following are not in the API model: AWS's front end answers them for all
// JSON services.

// ValidationException says that a request breaks constraints of the model.
func ValidationException(format string, args ...any) *Error {
	return newError(http.StatusBadRequest, "ValidationException", format, args...)
}

// SerializationException says that a body is not JSON, or not of the right shape.
func SerializationException(format string, args ...any) *Error {
	return newError(http.StatusBadRequest, "SerializationException", format, args...)
}

// UnknownOperationException says that X-Amz-Target names no operation.
func UnknownOperationException(format string, args ...any) *Error {
	return newError(http.StatusBadRequest, "UnknownOperationException", format, args...)
}

// AccessDeniedException says that the caller may not do this.
func AccessDeniedException(format string, args ...any) *Error {
	return newError(http.StatusBadRequest, "AccessDeniedException", format, args...)
}

// MissingAuthenticationTokenException says that a request is not signed.
func MissingAuthenticationTokenException(format string, args ...any) *Error {
	return newError(http.StatusForbidden, "MissingAuthenticationTokenException", format, args...)
}

// IncompleteSignatureException says that a signature lacks a part.
func IncompleteSignatureException(format string, args ...any) *Error {
	return newError(http.StatusBadRequest, "IncompleteSignatureException", format, args...)
}

// InvalidSignatureException says that a signature is wrong or out of its time.
func InvalidSignatureException(format string, args ...any) *Error {
	return newError(http.StatusForbidden, "InvalidSignatureException", format, args...)
}

// UnrecognizedClientException says that an access key is unknown.
func UnrecognizedClientException(format string, args ...any) *Error {
	return newError(http.StatusForbidden, "UnrecognizedClientException", format, args...)
}

// ExpiredTokenException says that a temporary access key has expired.
func ExpiredTokenException(format string, args ...any) *Error {
	return newError(http.StatusForbidden, "ExpiredTokenException", format, args...)
}

// RequestEntityTooLargeException says that a body exceeds the limit.
func RequestEntityTooLargeException(format string, args ...any) *Error {
	return newError(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", format, args...)
}

func newError(status int, code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}
