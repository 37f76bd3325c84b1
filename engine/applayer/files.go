package applayer

// Files is where rules find the files that transactions of a protocol carry in one direction: Tx.File has them.
type Files uint8

const (
	NoFiles Files = iota
	HTTPFiles
	HTTPReplyFiles
	SMBWrittenFiles
	SMBReadFiles
	SMTPFiles
	HTTP2Files
	HTTP2ReplyFiles

	numFiles = iota
)

var files = [numFiles]field{
	HTTPFiles:       {"files", HTTP, HTTPRequestBody},
	HTTPReplyFiles:  {"files", HTTP, HTTPResponseBody},
	SMBWrittenFiles: {"files", SMB, SMBFileWritten},
	SMBReadFiles:    {"files", SMB, SMBFileRead},
	SMTPFiles:       {"files", SMTP, SMTPFile},
	HTTP2Files:      {"files", HTTP2, HTTP2RequestData},
	HTTP2ReplyFiles: {"files", HTTP2, HTTP2ResponseData},
}

// Proto returns the protocol whose transactions carry the files.
func (f Files) Proto() Proto { return files[f].proto }

// Hook returns the hook at which rules look at the files: when there is more of them, and when they have ended.
// Its direction is theirs.
func (f Files) Hook() Hook { return files[f].hook }

// AllFiles returns all Files. The slice is not to be changed.
func AllFiles() []Files { return allFiles }

var allFiles = byName(files[:], func(i int) Files { return Files(i) })["files"]
