package smb

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Commands of SMB 1 (MS-CIFS, 2.2.2.1).
const (
	cmd1Close          = 0x04
	cmd1Rename         = 0x07
	cmd1Write          = 0x0b
	cmd1Locking        = 0x24
	cmd1Trans          = 0x25
	cmd1WriteAndClose  = 0x2c
	cmd1Open           = 0x2d
	cmd1Read           = 0x2e
	cmd1WriteAndX      = 0x2f
	cmd1Trans2         = 0x32
	cmd1Trans2More     = 0x33
	cmd1TreeDisconnect = 0x71
	cmd1Negotiate      = 0x72
	cmd1SessionSetup   = 0x73
	cmd1Logoff         = 0x74
	cmd1TreeConnect    = 0x75
	cmd1Create         = 0xa2
	cmd1Cancel         = 0xa4
	cmd1None           = 0xff
)

var commands1 = map[uint16]string{
	0x00: "CREATE_DIRECTORY", 0x01: "DELETE_DIRECTORY", 0x02: "OPEN", 0x03: "CREATE", 0x04: "CLOSE", 0x05: "FLUSH",
	0x06: "DELETE", 0x07: "RENAME", 0x08: "QUERY_INFORMATION", 0x09: "SET_INFORMATION", 0x0a: "READ", 0x0b: "WRITE",
	0x0c: "LOCK_BYTE_RANGE", 0x0d: "UNLOCK_BYTE_RANGE", 0x0e: "CREATE_TEMPORARY", 0x0f: "CREATE_NEW",
	0x10: "CHECK_DIRECTORY", 0x11: "PROCESS_EXIT", 0x12: "SEEK", 0x13: "LOCK_AND_READ", 0x14: "WRITE_AND_UNLOCK",
	0x24: "LOCKING_ANDX", 0x25: "TRANS", 0x2b: "ECHO", 0x2c: "WRITE_AND_CLOSE", 0x2d: "OPEN_ANDX", 0x2e: "READ_ANDX",
	0x2f: "WRITE_ANDX", 0x32: "TRANS2", 0x33: "TRANS2_SECONDARY", 0x34: "FIND_CLOSE2", 0x71: "TREE_DISCONNECT",
	0x72: "NEGOTIATE_PROTOCOL", 0x73: "SESSION_SETUP_ANDX", 0x74: "LOGOFF_ANDX", 0x75: "TREE_CONNECT_ANDX",
	0x80: "QUERY_INFO_DISK", 0xa0: "NT_TRANS", 0xa1: "NT_TRANS_SECONDARY", 0xa2: "NT_CREATE_ANDX", 0xa4: "NT_CANCEL",
}

// Commands of SMB 2 (MS-SMB2, 2.2.1.2).
const (
	cmd2Negotiate      = 0
	cmd2SessionSetup   = 1
	cmd2TreeConnect    = 3
	cmd2TreeDisconnect = 4
	cmd2Create         = 5
	cmd2Close          = 6
	cmd2Read           = 8
	cmd2Write          = 9
	cmd2Ioctl          = 11
	cmd2GetInfo        = 16
	cmd2SetInfo        = 17
)

var commands2 = [...]string{
	"NEGOTIATE_PROTOCOL", "SESSION_SETUP", "SESSION_LOGOFF", "TREE_CONNECT", "TREE_DISCONNECT", "CREATE", "CLOSE",
	"FLUSH", "READ", "WRITE", "LOCK", "IOCTL", "CANCEL", "KEEPALIVE", "FIND", "CHANGE_NOTIFY", "GET_INFO", "SET_INFO",
	"OPLOCK_BREAK",
}

// CommandName returns the name of a transaction's command in records, "" for none.
func (t *Tx) CommandName() string {
	switch {
	case t.Version == 1:
		if name, ok := commands1[t.Command]; ok {
			return "SMB1_COMMAND_" + name
		}
	case t.Version == 2 && int(t.Command) < len(commands2):
		return "SMB2_COMMAND_" + commands2[t.Command]
	case t.Version == 0:
		return ""
	}
	return strconv.Itoa(int(t.Command))
}

// DialectName returns the name of a dialect of SMB 2 and 3.
func DialectName(d uint16) string {
	switch d {
	case 0x02ff:
		return "2.??"
	case 0x0202, 0x0210, 0x0222, 0x0224, 0x0300, 0x0302, 0x0310, 0x0311:
		return fmt.Sprintf("%x.%02x", d>>8, d&0xff)
	}
	return strconv.Itoa(int(d))
}

// Codes of NTSTATUS that mean something here.
const (
	statusSuccess        = 0
	statusPending        = 0x103
	statusBufferOverflow = 0x80000005
	statusEndOfFile      = 0xc0000011
)

// ntStatus is a list of codes and names (MS-ERREF, 2.3.1).
//
//go:embed ntstatus.txt
var ntStatus string

var statusNames = sync.OnceValue(func() map[uint32]string {
	names := map[uint32]string{}
	for line := range strings.Lines(ntStatus) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(code, 16, 32); err == nil {
			names[uint32(n)] = name
		}
	}
	return names
})

// StatusName returns the name of the answer's status, and its code as records have it.
func (t *Tx) StatusName() (name, code string) {
	if !t.DOSError {
		if name, code = statusNames()[t.Status], fmt.Sprintf("0x%x", t.Status); name == "" {
			name = strconv.FormatUint(uint64(t.Status), 10)
		}
		return name, code
	}
	class, number := uint8(t.Status), uint16(t.Status>>16) // MS-CIFS, 2.2.3.1: one byte, one reserved, two
	code = fmt.Sprintf("0x%04x", number)
	names, known := dosErrors[class]
	if !known {
		return fmt.Sprintf("UNKNOWN_%02x_%04x", class, number), code
	}
	if name = names[number]; name == "" {
		name = strconv.Itoa(int(number))
	}
	return name, code
}

// dosErrors are by class and code.
var dosErrors = map[uint8]map[uint16]string{
	1: {0: "DOS_SUCCESS", 1: "DOS_BAD_FUNC", 2: "DOS_BAD_FILE", 3: "DOS_BAD_PATH", 4: "DOS_TOO_MANY_OPEN_FILES", 5: "DOS_ACCESS_DENIED"},
	2: {1: "SRV_ERROR", 2: "SRV_BADPW", 3: "SRV_BADTYPE", 4: "SRV_ACCESS", 91: "SRV_BADUID"},
}

// fsctlTransceive writes to a pipe and reads from it.
const fsctlTransceive = 0x0011c017

// FunctionName returns the name of the function of an IOCTL, or its number.
func (t *Tx) FunctionName() string {
	if name, ok := fsctls[t.Function]; ok {
		return "FSCTL_" + name
	}
	return strconv.FormatUint(uint64(t.Function), 10)
}

// fsctls are the functions of MS-FSCC, 2.3, MS-SMB2, 2.2.31, and others that clients use.
var fsctls = map[uint32]string{
	0x00060194: "DFS_GET_REFERRALS", 0x000601b0: "DFS_GET_REFERRALS_EX",
	0x00090000: "REQUEST_OPLOCK_LEVEL_1", 0x00090004: "REQUEST_OPLOCK_LEVEL_2", 0x00090008: "REQUEST_BATCH_OPLOCK",
	0x0009000c: "OPLOCK_BREAK_ACKNOWLEDGE", 0x00090010: "OPBATCH_ACK_CLOSE_PENDING", 0x00090014: "OPLOCK_BREAK_NOTIFY",
	0x00090018: "LOCK_VOLUME", 0x0009001c: "UNLOCK_VOLUME", 0x00090020: "DISMOUNT_VOLUME", 0x00090028: "IS_VOLUME_MOUNTED",
	0x0009002c: "IS_PATHNAME_VALID", 0x00090030: "MARK_VOLUME_DIRTY", 0x0009003b: "QUERY_RETRIEVAL_POINTERS",
	0x0009003c: "GET_COMPRESSION", 0x0009004f: "MARK_AS_SYSTEM_HIVE", 0x00090050: "OPLOCK_BREAK_ACK_NO_2",
	0x00090054: "INVALIDATE_VOLUMES", 0x00090058: "QUERY_FAT_BPB", 0x0009005c: "REQUEST_FILTER_OPLOCK",
	0x00090060: "FILESYSTEM_GET_STATISTICS", 0x00090064: "GET_NTFS_VOLUME_DATA", 0x00090068: "GET_NTFS_FILE_RECORD",
	0x0009006f: "GET_VOLUME_BITMAP", 0x00090073: "GET_RETRIEVAL_POINTERS", 0x00090074: "MOVE_FILE",
	0x00090078: "IS_VOLUME_DIRTY", 0x0009007c: "GET_HFS_INFORMATION", 0x00090083: "ALLOW_EXTENDED_DASD_IO",
	0x00090087: "READ_PROPERTY_DATA", 0x0009008b: "WRITE_PROPERTY_DATA", 0x0009008f: "FIND_FILES_BY_SID",
	0x00090097: "DUMP_PROPERTY_DATA", 0x0009009c: "GET_OBJECT_ID", 0x000900a4: "SET_REPARSE_POINT",
	0x000900a8: "GET_REPARSE_POINT", 0x000900c0: "CREATE_OR_GET_OBJECT_ID", 0x000900c4: "SET_SPARSE",
	0x000900d4: "SET_ENCRYPTION", 0x000900db: "ENCRYPTION_FSCTL_IO", 0x000900df: "WRITE_RAW_ENCRYPTED",
	0x000900e3: "READ_RAW_ENCRYPTED", 0x000900f0: "EXTEND_VOLUME", 0x00090244: "CSV_TUNNEL_REQUEST",
	0x0009027c: "GET_INTEGRITY_INFORMATION", 0x00090284: "QUERY_FILE_REGIONS", 0x000902c8: "CSV_SYNC_TUNNEL_REQUEST",
	0x00090300: "QUERY_SHARED_VIRTUAL_DISK_SUPPORT", 0x00090304: "SVHDX_SYNC_TUNNEL_REQUEST",
	0x00090308: "SVHDX_SET_INITIATOR_INFORMATION", 0x0009030c: "SET_EXTERNAL_BACKING", 0x00090310: "GET_EXTERNAL_BACKING",
	0x00090314: "DELETE_EXTERNAL_BACKING", 0x00090318: "ENUM_EXTERNAL_BACKING", 0x0009031f: "ENUM_OVERLAY",
	0x00090350: "STORAGE_QOS_CONTROL", 0x00090364: "SVHDX_ASYNC_TUNNEL_REQUEST", 0x000940b3: "ENUM_USN_DATA",
	0x000940b7: "SECURITY_ID_CHECK", 0x000940bb: "READ_USN_JOURNAL", 0x000940cf: "QUERY_ALLOCATED_RANGES",
	0x000940e7: "CREATE_USN_JOURNAL", 0x000940eb: "READ_FILE_USN_DATA", 0x000940ef: "WRITE_USN_CLOSE_RECORD",
	0x00094264: "OFFLOAD_READ", 0x00098098: "SET_OBJECT_ID", 0x000980a0: "DELETE_OBJECT_ID", 0x000980a4: "SET_REPARSE_POINT",
	0x000980ac: "DELETE_REPARSE_POINT", 0x000980bc: "SET_OBJECT_ID_EXTENDED", 0x000980c8: "SET_ZERO_DATA",
	0x000980d0: "ENABLE_UPGRADE", 0x00098208: "FILE_LEVEL_TRIM", 0x00098268: "OFFLOAD_WRITE", 0x0009c040: "SET_COMPRESSION",
	0x0009c280: "SET_INTEGRITY_INFORMATION", 0x00110018: "PIPE_WAIT", 0x0011400c: "PIPE_PEEK",
	fsctlTransceive: "PIPE_TRANSCEIVE", 0x00140078: "SRV_REQUEST_RESUME_KEY", 0x001401d4: "LMR_REQUEST_RESILIENCY",
	0x001401fc: "QUERY_NETWORK_INTERFACE_INFO", 0x00140200: "VALIDATE_NEGOTIATE_INFO_224",
	0x00140204: "VALIDATE_NEGOTIATE_INFO", 0x00144064: "SRV_ENUMERATE_SNAPSHOTS", 0x001440f2: "SRV_COPYCHUNK",
	0x001441bb: "SRV_READ_HASH", 0x001480f2: "SRV_COPYCHUNK_WRITE",
}
