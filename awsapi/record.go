package awsapi

import (
	"net/http"
	"strings"

	"github.com/sluicefw/sluice/audit"
	"github.com/sluicefw/sluice/awsapi/wire"
)

// eventSource names the service in audit records.
const eventSource = signingName + ".amazonaws.com"

// audit logs a call with what is known of it. code is "" if it succeeded.
func (s *server) audit(r *http.Request, x *exchange, code, message string) {
	if s.Audit == nil {
		return
	}
	operation := x.operation
	if op := wire.Lookup(r.Header.Get("X-Amz-Target")); op != nil {
		operation = op.Name // what a caller who was not let in wanted
	}
	c := audit.Call{
		Time: x.start, Source: eventSource, Operation: operation, Region: s.Region,
		SourceIP: x.caller.SourceIP, UserAgent: r.UserAgent(), Request: x.in, Response: x.out,
		ErrorCode: code, Error: message, RequestID: x.id, ReadOnly: readOnly(operation), Refused: x.refused || !x.proven,
		Identity: audit.Identity{Type: "Unknown", AccessKeyID: x.caller.AccessKeyID},
	}
	switch {
	case !x.proven:
	case x.user != nil:
		c.RecipientID = x.caller.Account
		c.Identity = audit.Identity{
			Type: "IAMUser", PrincipalID: x.user.UserID, ARN: x.user.ARN,
			AccountID: x.caller.Account, AccessKeyID: x.caller.AccessKeyID, UserName: x.user.User,
		}
	default:
		c.RecipientID = x.caller.Account
		c.Identity = audit.Identity{
			Type: "Root", PrincipalID: x.caller.Account, ARN: x.caller.UserARN,
			AccountID: x.caller.Account, AccessKeyID: x.caller.AccessKeyID,
		}
	}
	s.Audit.Write(&c)
}

// readOnly reports whether an operation changes nothing, as its name says.
func readOnly(operation string) bool {
	for _, verb := range []string{"Describe", "List", "Get", "Preview"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}
