package smb

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

var le = binary.LittleEndian

// sub returns size bytes of b at an offset, or nil when they are not there.
func sub(b []byte, at, size int) []byte {
	if at < 0 || size < 0 || at > len(b) || size > len(b)-at {
		return nil
	}
	return b[at : at+size]
}

// appendUTF16 appends little endian UTF-16 as UTF-8, up to a zero.
func appendUTF16(dst, b []byte) []byte {
	for ; len(b) >= 2; b = b[2:] {
		r := rune(le.Uint16(b))
		if r == 0 {
			break
		}
		if utf16.IsSurrogate(r) && len(b) >= 4 {
			r = utf16.DecodeRune(r, rune(le.Uint16(b[2:])))
			b = b[2:]
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// takeString takes a string that ends with a zero off b, which is at offset at of its message:
// UTF-16 begins at even offsets.
func takeString(b []byte, at int, wide bool) (text, rest []byte, next int) {
	if !wide {
		for i, c := range b {
			if c == 0 {
				return b[:i], b[i+1:], at + i + 1
			}
		}
		return b, nil, at + len(b)
	}
	if at%2 != 0 && len(b) > 0 {
		b, at = b[1:], at+1
	}
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return appendUTF16(nil, b[:i]), b[i+2:], at + i + 2
		}
	}
	return appendUTF16(nil, b), nil, at + len(b)
}

// seconds turns a FILETIME, in units of 100 ns since 1601, to seconds since 1970.
func seconds(b []byte) int64 {
	const epoch = 11644473600
	if t := le.Uint64(b); t != 0 {
		return int64(t/10_000_000) - epoch
	}
	return 0
}

// Commands of SMB 2 (MS-SMB2, 2.2.1.2).
var commands2 = [...]string{
	"NEGOTIATE_PROTOCOL", "SESSION_SETUP", "SESSION_LOGOFF", "TREE_CONNECT", "TREE_DISCONNECT", "CREATE", "CLOSE", "FLUSH", "READ",
	"WRITE", "LOCK", "IOCTL", "CANCEL", "KEEPALIVE", "FIND", "CHANGE_NOTIFY", "GET_INFO", "SET_INFO", "BREAK",
}

const (
	negotiate2    = 0
	sessionSetup2 = 1
	treeConnect2  = 3
	create2       = 5
	read2         = 8
	write2        = 9
	ioctl2        = 11
	cancel2       = 12
	getInfo2      = 16
	setInfo2      = 17
)

// Commands of SMB 1 (MS-CIFS, 2.2.2.1).
var commands1 = map[uint8]string{
	0x00: "CREATE_DIRECTORY", 0x01: "DELETE_DIRECTORY", 0x02: "OPEN", 0x03: "CREATE", 0x04: "CLOSE", 0x05: "FLUSH", 0x06: "DELETE",
	0x07: "RENAME", 0x08: "QUERY_INFORMATION", 0x09: "SET_INFORMATION", 0x0a: "READ", 0x0b: "WRITE", 0x0c: "LOCK_BYTE_RANGE",
	0x0d: "UNLOCK_BYTE_RANGE", 0x0e: "CREATE_TEMPORARY", 0x0f: "CREATE_NEW", 0x10: "CHECK_DIRECTORY", 0x11: "PROCESS_EXIT",
	0x12: "SEEK", 0x13: "LOCK_AND_READ", 0x14: "WRITE_AND_UNLOCK", 0x24: "LOCKING_ANDX", 0x25: "TRANS", 0x2b: "ECHO",
	0x2c: "WRITE_AND_CLOSE", 0x2d: "OPEN_ANDX", 0x2e: "READ_ANDX", 0x2f: "WRITE_ANDX", 0x32: "TRANS2", 0x33: "TRANS2_SECONDARY", 0x34: "FIND_CLOSE2",
	0x70: "TREE_CONNECT", 0x71: "TREE_DISCONNECT", 0x72: "NEGOTIATE_PROTOCOL", 0x73: "SESSION_SETUP_ANDX", 0x74: "LOGOFF_ANDX",
	0x75: "TREE_CONNECT_ANDX", 0x80: "QUERY_INFORMATION_DISK", 0xa0: "NT_TRANS", 0xa1: "NT_TRANS_SECONDARY", 0xa2: "NT_CREATE_ANDX",
	0xa4: "NT_CANCEL", 0xa5: "NT_RENAME",
}

const (
	negotiate1    = 0x72
	sessionSetup1 = 0x73
	treeConnect1  = 0x75
	ntCreate1     = 0xa2
	ntCancel1     = 0xa4
)

// Statuses by their code (MS-ERREF, 2.3.1).
var statuses = map[uint32]string{
	0x00000000: "STATUS_SUCCESS", 0x00000103: "STATUS_PENDING", 0x0000010b: "STATUS_NOTIFY_CLEANUP", 0x0000010c: "STATUS_NOTIFY_ENUM_DIR",
	0x80000005: "STATUS_BUFFER_OVERFLOW", 0x80000006: "STATUS_NO_MORE_FILES", 0x8000002d: "STATUS_STOPPED_ON_SYMLINK",
	0xc0000001: "STATUS_UNSUCCESSFUL", 0xc0000002: "STATUS_NOT_IMPLEMENTED", 0xc0000003: "STATUS_INVALID_INFO_CLASS",
	0xc0000004: "STATUS_INFO_LENGTH_MISMATCH", 0xc0000008: "STATUS_INVALID_HANDLE", 0xc000000d: "STATUS_INVALID_PARAMETER",
	0xc000000e: "STATUS_NO_SUCH_DEVICE", 0xc000000f: "STATUS_NO_SUCH_FILE", 0xc0000010: "STATUS_INVALID_DEVICE_REQUEST",
	0xc0000011: "STATUS_END_OF_FILE", 0xc0000016: "STATUS_MORE_PROCESSING_REQUIRED", 0xc0000022: "STATUS_ACCESS_DENIED",
	0xc0000023: "STATUS_BUFFER_TOO_SMALL", 0xc0000033: "STATUS_OBJECT_NAME_INVALID", 0xc0000034: "STATUS_OBJECT_NAME_NOT_FOUND",
	0xc0000035: "STATUS_OBJECT_NAME_COLLISION", 0xc000003a: "STATUS_OBJECT_PATH_NOT_FOUND", 0xc000003b: "STATUS_OBJECT_PATH_SYNTAX_BAD",
	0xc0000043: "STATUS_SHARING_VIOLATION", 0xc0000054: "STATUS_FILE_LOCK_CONFLICT", 0xc0000055: "STATUS_LOCK_NOT_GRANTED",
	0xc0000056: "STATUS_DELETE_PENDING", 0xc000006a: "STATUS_WRONG_PASSWORD", 0xc000006d: "STATUS_LOGON_FAILURE",
	0xc000006e: "STATUS_ACCOUNT_RESTRICTION", 0xc0000070: "STATUS_INVALID_WORKSTATION", 0xc0000071: "STATUS_PASSWORD_EXPIRED",
	0xc0000072: "STATUS_ACCOUNT_DISABLED", 0xc000007e: "STATUS_RANGE_NOT_LOCKED", 0xc000007f: "STATUS_DISK_FULL",
	0xc000009a: "STATUS_INSUFFICIENT_RESOURCES", 0xc00000ac: "STATUS_PIPE_NOT_AVAILABLE", 0xc00000ad: "STATUS_PIPE_BUSY",
	0xc00000b0: "STATUS_PIPE_DISCONNECTED", 0xc00000b1: "STATUS_PIPE_CLOSING", 0xc00000b5: "STATUS_IO_TIMEOUT",
	0xc00000ba: "STATUS_FILE_IS_A_DIRECTORY", 0xc00000bb: "STATUS_NOT_SUPPORTED", 0xc00000c9: "STATUS_NETWORK_NAME_DELETED",
	0xc00000ca: "STATUS_NETWORK_ACCESS_DENIED", 0xc00000cb: "STATUS_BAD_DEVICE_TYPE", 0xc00000cc: "STATUS_BAD_NETWORK_NAME",
	0xc00000d0: "STATUS_REQUEST_NOT_ACCEPTED", 0xc0000101: "STATUS_DIRECTORY_NOT_EMPTY", 0xc0000103: "STATUS_NOT_A_DIRECTORY",
	0xc0000120: "STATUS_CANCELLED", 0xc0000121: "STATUS_CANNOT_DELETE", 0xc0000128: "STATUS_FILE_CLOSED",
	0xc000015b: "STATUS_LOGON_TYPE_NOT_GRANTED", 0xc0000184: "STATUS_INVALID_DEVICE_STATE", 0xc0000193: "STATUS_ACCOUNT_EXPIRED",
	0xc000019c: "STATUS_FS_DRIVER_REQUIRED", 0xc0000203: "STATUS_USER_SESSION_DELETED", 0xc0000225: "STATUS_NOT_FOUND",
	0xc0000233: "STATUS_DOMAIN_CONTROLLER_NOT_FOUND", 0xc0000234: "STATUS_ACCOUNT_LOCKED_OUT", 0xc0000257: "STATUS_PATH_NOT_COVERED",
	0xc000035c: "STATUS_NETWORK_SESSION_EXPIRED",
}

// functions are the names of control codes (MS-FSCC, 2.3).
var functions = map[uint32]string{
	0x00060194: "FSCTL_DFS_GET_REFERRALS", 0x000601b0: "FSCTL_DFS_GET_REFERRALS_EX", 0x00090000: "FSCTL_REQUEST_OPLOCK_LEVEL_1",
	0x0009009c: "FSCTL_GET_OBJECT_ID", 0x000900a4: "FSCTL_SET_REPARSE_POINT", 0x000900c0: "FSCTL_CREATE_OR_GET_OBJECT_ID",
	0x000980c8: "FSCTL_SET_ZERO_DATA", 0x00098208: "FSCTL_FILE_LEVEL_TRIM", 0x0011400c: "FSCTL_PIPE_PEEK", 0x00110018: "FSCTL_PIPE_WAIT",
	0x0011c017: "FSCTL_PIPE_TRANSCEIVE", 0x00140078: "FSCTL_SRV_REQUEST_RESUME_KEY", 0x00144064: "FSCTL_SRV_ENUMERATE_SNAPSHOTS",
	0x001440f2: "FSCTL_SRV_COPYCHUNK", 0x001480f2: "FSCTL_SRV_COPYCHUNK_WRITE", 0x001401d4: "FSCTL_LMR_REQUEST_RESILIENCY",
	0x001401fc: "FSCTL_QUERY_NETWORK_INTERFACE_INFO", 0x00140204: "FSCTL_VALIDATE_NEGOTIATE_INFO",
}

const pipeTransceive = 0x0011c017

var dispositions = [...]string{"FILE_SUPERSEDE", "FILE_OPEN", "FILE_CREATE", "FILE_OPEN_IF", "FILE_OVERWRITE", "FILE_OVERWRITE_IF"}

// dialect2 returns the name of a dialect of SMB 2 (MS-SMB2, 2.2.3).
func dialect2(v uint16) string {
	switch v {
	case 0x0202:
		return "2.02"
	case 0x0210:
		return "2.10"
	case 0x0222:
		return "2.22"
	case 0x0224:
		return "2.24"
	case 0x02ff:
		return "2.??"
	case 0x0300:
		return "3.00"
	case 0x0302:
		return "3.02"
	case 0x0310:
		return "3.10"
	case 0x0311:
		return "3.11"
	}
	return "unknown"
}
