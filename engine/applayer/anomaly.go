package applayer

import (
	"math"
	"slices"
)

// Anomaly is something that an application protocol does not allow, or that a parser could not
// follow. Rules name them with app-layer-event, records with their "event". The names are Suricata 7's.
type Anomaly uint16

const (
	AnomalyDetectProtocolOnlyOneDirection Anomaly = iota
	AnomalyMismatchProtocolBothDirections
	AnomalyNoTLSAfterStarttls
	AnomalyProtoDetectionSkipped
	AnomalyUnexpectedProtocol
	AnomalyWrongDirectionFirstData
	AnomalyDHCPMalformedOptions
	AnomalyDHCPTruncatedOptions
	AnomalyDNP3BadLinkCRC
	AnomalyDNP3BadTransportCRC
	AnomalyDNP3Flooded
	AnomalyDNP3LengthTooSmall
	AnomalyDNP3UnknownObject
	AnomalyDNSInfiniteLoop
	AnomalyDNSInvalidOpcode
	AnomalyDNSMalformedData
	AnomalyDNSNameTooLong
	AnomalyDNSNotRequest
	AnomalyDNSNotResponse
	AnomalyDNSTooManyLabels
	AnomalyDNSZFlagSet
	AnomalyFTPRequestCommandTooLong
	AnomalyFTPResponseCommandTooLong
	AnomalyHTTP100ContinueAlreadySeen
	AnomalyHTTPAbnormalContentEncodingHeader
	AnomalyHTTPCompressionBomb
	AnomalyHTTPDoubleEncodedURI
	AnomalyHTTPDuplicateContentLengthFieldInRequest
	AnomalyHTTPDuplicateContentLengthFieldInResponse
	AnomalyHTTPFailedProtocolChange
	AnomalyHTTPFileNameTooLong
	AnomalyHTTPGzipDecompressionFailed
	AnomalyHTTPHostHeaderAmbiguous
	AnomalyHTTPInvalidAuthorityPort
	AnomalyHTTPInvalidContentLengthFieldInRequest
	AnomalyHTTPInvalidContentLengthFieldInResponse
	AnomalyHTTPInvalidRequestChunkLength
	AnomalyHTTPInvalidRequestFieldFolding
	AnomalyHTTPInvalidResponseChunkLength
	AnomalyHTTPInvalidResponseFieldFolding
	AnomalyHTTPInvalidServerPortInRequest
	AnomalyHTTPInvalidTransferEncodingValueInRequest
	AnomalyHTTPInvalidTransferEncodingValueInResponse
	AnomalyHTTPLZMAMemlimitReached
	AnomalyHTTPMethodDelimNonCompliant
	AnomalyHTTPMissingHostHeader
	AnomalyHTTPMultipartGenericError
	AnomalyHTTPMultipartInvalidHeader
	AnomalyHTTPMultipartNoFiledata
	AnomalyHTTPRangeInvalid
	AnomalyHTTPRequestAuthUnrecognized
	AnomalyHTTPRequestBodyUnexpected
	AnomalyHTTPRequestChunkExtension
	AnomalyHTTPRequestFieldMissingColon
	AnomalyHTTPRequestFieldTooLong
	AnomalyHTTPRequestHeaderHostInvalid
	AnomalyHTTPRequestHeaderInvalid
	AnomalyHTTPRequestHeaderRepetition
	AnomalyHTTPRequestLineIncomplete
	AnomalyHTTPRequestLineInvalid
	AnomalyHTTPRequestLineLeadingWhitespace
	AnomalyHTTPRequestLineMissingProtocol
	AnomalyHTTPRequestServerPortTCPPortMismatch
	AnomalyHTTPRequestTooManyHeaders
	AnomalyHTTPRequestURIHostInvalid
	AnomalyHTTPResponseAbnormalTransferEncoding
	AnomalyHTTPResponseChunkedOldProto
	AnomalyHTTPResponseFieldMissingColon
	AnomalyHTTPResponseFieldTooLong
	AnomalyHTTPResponseHeaderInvalid
	AnomalyHTTPResponseHeaderRepetition
	AnomalyHTTPResponseInvalidProtocol
	AnomalyHTTPResponseInvalidStatus
	AnomalyHTTPResponseMultipartByteranges
	AnomalyHTTPResponseTooManyHeaders
	AnomalyHTTPTooManyEncodingLayers
	AnomalyHTTPTooManyWarnings
	AnomalyHTTPUnableToMatchResponseToRequest
	AnomalyHTTPUnknownError
	AnomalyHTTPURIDelimNonCompliant
	AnomalyHTTP2AuthorityHostMismatch
	AnomalyHTTP2ExtraHeaderData
	AnomalyHTTP2FailedDecompression
	AnomalyHTTP2HeaderIntegerOverflow
	AnomalyHTTP2InvalidClientMagic
	AnomalyHTTP2InvalidFrameData
	AnomalyHTTP2InvalidFrameHeader
	AnomalyHTTP2InvalidFrameLength
	AnomalyHTTP2InvalidHeader
	AnomalyHTTP2InvalidHttp1Settings
	AnomalyHTTP2InvalidRange
	AnomalyHTTP2LongFrameData
	AnomalyHTTP2ReassemblyLimitReached
	AnomalyHTTP2StreamIDReuse
	AnomalyHTTP2TooManyStreams
	AnomalyHTTP2UserinfoInURI
	AnomalyIKEInvalidProposal
	AnomalyIKEMalformedData
	AnomalyIKEMultipleServerProposal
	AnomalyIKENoEncryption
	AnomalyIKEUnknownProposal
	AnomalyIKEWeakCryptoAuth
	AnomalyIKEWeakCryptoDH
	AnomalyIKEWeakCryptoEncryption
	AnomalyIKEWeakCryptoNoAuth
	AnomalyIKEWeakCryptoNoDH
	AnomalyIKEWeakCryptoPRF
	AnomalyKRB5MalformedData
	AnomalyKRB5WeakEncryption
	AnomalyModbusFlooded
	AnomalyModbusInvalidExceptionCode
	AnomalyModbusInvalidFunctionCode
	AnomalyModbusInvalidLength
	AnomalyModbusInvalidProtocolID
	AnomalyModbusInvalidValue
	AnomalyModbusUnsolicitedResponse
	AnomalyModbusValueMismatch
	AnomalyMQTTDoubleConnect
	AnomalyMQTTInvalidQosLevel
	AnomalyMQTTMalformedTraffic
	AnomalyMQTTMissingConnect
	AnomalyMQTTMissingMessageID
	AnomalyMQTTMissingPublish
	AnomalyMQTTMissingSubscribe
	AnomalyMQTTMissingUnsubscribe
	AnomalyMQTTTooManyTransactions
	AnomalyMQTTUnassignedMessageType
	AnomalyMQTTUnintroducedMessage
	AnomalyNFSMalformedData
	AnomalyNFSTooManyTransactions
	AnomalyNTPMalformedData
	AnomalyQUICCryptoFragTooLong
	AnomalyQUICErrorOnData
	AnomalyQUICFailedDecrypt
	AnomalyRFBConfusedState
	AnomalyRFBMalformedMessage
	AnomalyRFBUnimplementedSecurityType
	AnomalyRFBUnknownSecurityResult
	AnomalySMBDuplicateNegotiate
	AnomalySMBFileOverlap
	AnomalySMBInternalError
	AnomalySMBMalformedData
	AnomalySMBMalformedNTLMSSPRequest
	AnomalySMBMalformedNTLMSSPResponse
	AnomalySMBNegotiateMalformedDialects
	AnomalySMBNegotiateMaxReadSizeTooLarge
	AnomalySMBNegotiateMaxWriteSizeTooLarge
	AnomalySMBReadQueueCountExceeded
	AnomalySMBReadQueueSizeExceeded
	AnomalySMBReadRequestTooLarge
	AnomalySMBReadResponseTooLarge
	AnomalySMBRecordOverflow
	AnomalySMBRequestToClient
	AnomalySMBResponseToServer
	AnomalySMBTooManyTransactions
	AnomalySMBUnusualNTLMSSPOrder
	AnomalySMBWriteQueueCountExceeded
	AnomalySMBWriteQueueSizeExceeded
	AnomalySMBWriteRequestTooLarge
	AnomalySMTPBDATChunkLengthExceeded
	AnomalySMTPDataCommandRejected
	AnomalySMTPDuplicateFields
	AnomalySMTPFailedProtocolChange
	AnomalySMTPInvalidPipelinedSequence
	AnomalySMTPInvalidReply
	AnomalySMTPMaxCommandLineLengthExceeded
	AnomalySMTPMaxReplyLineLengthExceeded
	AnomalySMTPMIMEInvalidBase64
	AnomalySMTPMIMEInvalidQP
	AnomalySMTPMIMELongBoundary
	AnomalySMTPMIMELongEncryptionLine
	AnomalySMTPMIMELongFilename
	AnomalySMTPMIMELongHeaderName
	AnomalySMTPMIMELongHeaderValue
	AnomalySMTPMIMELongLine
	AnomalySMTPMIMEMalformedMessage
	AnomalySMTPMIMEParseFailed
	AnomalySMTPNoServerWelcomeMessage
	AnomalySMTPTLSRejected
	AnomalySMTPUnableToMatchReplyWithRequest
	AnomalySMTPUnparsableContent
	AnomalySSHInvalidBanner
	AnomalySSHInvalidRecord
	AnomalySSHLongBanner
	AnomalyTLSCertificateInvalidAlgorithmidentifier
	AnomalyTLSCertificateInvalidDate
	AnomalyTLSCertificateInvalidDER
	AnomalyTLSCertificateInvalidExtensions
	AnomalyTLSCertificateInvalidIssuer
	AnomalyTLSCertificateInvalidLength
	AnomalyTLSCertificateInvalidSerial
	AnomalyTLSCertificateInvalidSubject
	AnomalyTLSCertificateInvalidValidity
	AnomalyTLSCertificateInvalidVersion
	AnomalyTLSCertificateInvalidX509name
	AnomalyTLSDataleakHeartbeatMismatch
	AnomalyTLSErrorMessageEncountered
	AnomalyTLSHandshakeInvalidLength
	AnomalyTLSHeartbeatMessage
	AnomalyTLSInvalidCertificate
	AnomalyTLSInvalidHandshakeMessage
	AnomalyTLSInvalidHeartbeatMessage
	AnomalyTLSInvalidRecordType
	AnomalyTLSInvalidRecordVersion
	AnomalyTLSInvalidSNILength
	AnomalyTLSInvalidSNIType
	AnomalyTLSInvalidSSLRecord
	AnomalyTLSInvalidSSLv2Header
	AnomalyTLSInvalidTLSHeader
	AnomalyTLSMultipleSNIExtensions
	AnomalyTLSOverflowHeartbeatMessage
	AnomalyTLSTooManyRecordsInPacket

	numAnomalies int = iota
)

var anomalyNames = [numAnomalies]string{
	AnomalyDetectProtocolOnlyOneDirection:             "applayer_detect_protocol_only_one_direction",
	AnomalyMismatchProtocolBothDirections:             "applayer_mismatch_protocol_both_directions",
	AnomalyNoTLSAfterStarttls:                         "applayer_no_tls_after_starttls",
	AnomalyProtoDetectionSkipped:                      "applayer_proto_detection_skipped",
	AnomalyUnexpectedProtocol:                         "applayer_unexpected_protocol",
	AnomalyWrongDirectionFirstData:                    "applayer_wrong_direction_first_data",
	AnomalyDHCPMalformedOptions:                       "dhcp.malformed_options",
	AnomalyDHCPTruncatedOptions:                       "dhcp.truncated_options",
	AnomalyDNP3BadLinkCRC:                             "dnp3.bad_link_crc",
	AnomalyDNP3BadTransportCRC:                        "dnp3.bad_transport_crc",
	AnomalyDNP3Flooded:                                "dnp3.flooded",
	AnomalyDNP3LengthTooSmall:                         "dnp3.len_too_small",
	AnomalyDNP3UnknownObject:                          "dnp3.unknown_object",
	AnomalyDNSInfiniteLoop:                            "dns.infinite_loop",
	AnomalyDNSInvalidOpcode:                           "dns.invalid_opcode",
	AnomalyDNSMalformedData:                           "dns.malformed_data",
	AnomalyDNSNameTooLong:                             "dns.name_too_long",
	AnomalyDNSNotRequest:                              "dns.not_request",
	AnomalyDNSNotResponse:                             "dns.not_response",
	AnomalyDNSTooManyLabels:                           "dns.too_many_labels",
	AnomalyDNSZFlagSet:                                "dns.z_flag_set",
	AnomalyFTPRequestCommandTooLong:                   "ftp.request_command_too_long",
	AnomalyFTPResponseCommandTooLong:                  "ftp.response_command_too_long",
	AnomalyHTTP100ContinueAlreadySeen:                 "http.100_continue_already_seen",
	AnomalyHTTPAbnormalContentEncodingHeader:          "http.abnormal_ce_header",
	AnomalyHTTPCompressionBomb:                        "http.compression_bomb",
	AnomalyHTTPDoubleEncodedURI:                       "http.double_encoded_uri",
	AnomalyHTTPDuplicateContentLengthFieldInRequest:   "http.duplicate_content_length_field_in_request",
	AnomalyHTTPDuplicateContentLengthFieldInResponse:  "http.duplicate_content_length_field_in_response",
	AnomalyHTTPFailedProtocolChange:                   "http.failed_protocol_change",
	AnomalyHTTPFileNameTooLong:                        "http.file_name_too_long",
	AnomalyHTTPGzipDecompressionFailed:                "http.gzip_decompression_failed",
	AnomalyHTTPHostHeaderAmbiguous:                    "http.host_header_ambiguous",
	AnomalyHTTPInvalidAuthorityPort:                   "http.invalid_authority_port",
	AnomalyHTTPInvalidContentLengthFieldInRequest:     "http.invalid_content_length_field_in_request",
	AnomalyHTTPInvalidContentLengthFieldInResponse:    "http.invalid_content_length_field_in_response",
	AnomalyHTTPInvalidRequestChunkLength:              "http.invalid_request_chunk_len",
	AnomalyHTTPInvalidRequestFieldFolding:             "http.invalid_request_field_folding",
	AnomalyHTTPInvalidResponseChunkLength:             "http.invalid_response_chunk_len",
	AnomalyHTTPInvalidResponseFieldFolding:            "http.invalid_response_field_folding",
	AnomalyHTTPInvalidServerPortInRequest:             "http.invalid_server_port_in_request",
	AnomalyHTTPInvalidTransferEncodingValueInRequest:  "http.invalid_transfer_encoding_value_in_request",
	AnomalyHTTPInvalidTransferEncodingValueInResponse: "http.invalid_transfer_encoding_value_in_response",
	AnomalyHTTPLZMAMemlimitReached:                    "http.lzma_memlimit_reached",
	AnomalyHTTPMethodDelimNonCompliant:                "http.method_delim_non_compliant",
	AnomalyHTTPMissingHostHeader:                      "http.missing_host_header",
	AnomalyHTTPMultipartGenericError:                  "http.multipart_generic_error",
	AnomalyHTTPMultipartInvalidHeader:                 "http.multipart_invalid_header",
	AnomalyHTTPMultipartNoFiledata:                    "http.multipart_no_filedata",
	AnomalyHTTPRangeInvalid:                           "http.range_invalid",
	AnomalyHTTPRequestAuthUnrecognized:                "http.request_auth_unrecognized",
	AnomalyHTTPRequestBodyUnexpected:                  "http.request_body_unexpected",
	AnomalyHTTPRequestChunkExtension:                  "http.request_chunk_extension",
	AnomalyHTTPRequestFieldMissingColon:               "http.request_field_missing_colon",
	AnomalyHTTPRequestFieldTooLong:                    "http.request_field_too_long",
	AnomalyHTTPRequestHeaderHostInvalid:               "http.request_header_host_invalid",
	AnomalyHTTPRequestHeaderInvalid:                   "http.request_header_invalid",
	AnomalyHTTPRequestHeaderRepetition:                "http.request_header_repetition",
	AnomalyHTTPRequestLineIncomplete:                  "http.request_line_incomplete",
	AnomalyHTTPRequestLineInvalid:                     "http.request_line_invalid",
	AnomalyHTTPRequestLineLeadingWhitespace:           "http.request_line_leading_whitespace",
	AnomalyHTTPRequestLineMissingProtocol:             "http.request_line_missing_protocol",
	AnomalyHTTPRequestServerPortTCPPortMismatch:       "http.request_server_port_tcp_port_mismatch",
	AnomalyHTTPRequestTooManyHeaders:                  "http.request_too_many_headers",
	AnomalyHTTPRequestURIHostInvalid:                  "http.request_uri_host_invalid",
	AnomalyHTTPResponseAbnormalTransferEncoding:       "http.response_abnormal_transfer_encoding",
	AnomalyHTTPResponseChunkedOldProto:                "http.response_chunked_old_proto",
	AnomalyHTTPResponseFieldMissingColon:              "http.response_field_missing_colon",
	AnomalyHTTPResponseFieldTooLong:                   "http.response_field_too_long",
	AnomalyHTTPResponseHeaderInvalid:                  "http.response_header_invalid",
	AnomalyHTTPResponseHeaderRepetition:               "http.response_header_repetition",
	AnomalyHTTPResponseInvalidProtocol:                "http.response_invalid_protocol",
	AnomalyHTTPResponseInvalidStatus:                  "http.response_invalid_status",
	AnomalyHTTPResponseMultipartByteranges:            "http.response_multipart_byteranges",
	AnomalyHTTPResponseTooManyHeaders:                 "http.response_too_many_headers",
	AnomalyHTTPTooManyEncodingLayers:                  "http.too_many_encoding_layers",
	AnomalyHTTPTooManyWarnings:                        "http.too_many_warnings",
	AnomalyHTTPUnableToMatchResponseToRequest:         "http.unable_to_match_response_to_request",
	AnomalyHTTPUnknownError:                           "http.unknown_error",
	AnomalyHTTPURIDelimNonCompliant:                   "http.uri_delim_non_compliant",
	AnomalyHTTP2AuthorityHostMismatch:                 "http2.authority_host_mismatch",
	AnomalyHTTP2ExtraHeaderData:                       "http2.extra_header_data",
	AnomalyHTTP2FailedDecompression:                   "http2.failed_decompression",
	AnomalyHTTP2HeaderIntegerOverflow:                 "http2.header_integer_overflow",
	AnomalyHTTP2InvalidClientMagic:                    "http2.invalid_client_magic",
	AnomalyHTTP2InvalidFrameData:                      "http2.invalid_frame_data",
	AnomalyHTTP2InvalidFrameHeader:                    "http2.invalid_frame_header",
	AnomalyHTTP2InvalidFrameLength:                    "http2.invalid_frame_length",
	AnomalyHTTP2InvalidHeader:                         "http2.invalid_header",
	AnomalyHTTP2InvalidHttp1Settings:                  "http2.invalid_http1_settings",
	AnomalyHTTP2InvalidRange:                          "http2.invalid_range",
	AnomalyHTTP2LongFrameData:                         "http2.long_frame_data",
	AnomalyHTTP2ReassemblyLimitReached:                "http2.reassembly_limit_reached",
	AnomalyHTTP2StreamIDReuse:                         "http2.stream_id_reuse",
	AnomalyHTTP2TooManyStreams:                        "http2.too_many_streams",
	AnomalyHTTP2UserinfoInURI:                         "http2.userinfo_in_uri",
	AnomalyIKEInvalidProposal:                         "ike.invalid_proposal",
	AnomalyIKEMalformedData:                           "ike.malformed_data",
	AnomalyIKEMultipleServerProposal:                  "ike.multiple_server_proposal",
	AnomalyIKENoEncryption:                            "ike.no_encryption",
	AnomalyIKEUnknownProposal:                         "ike.unknown_proposal",
	AnomalyIKEWeakCryptoAuth:                          "ike.weak_crypto_auth",
	AnomalyIKEWeakCryptoDH:                            "ike.weak_crypto_dh",
	AnomalyIKEWeakCryptoEncryption:                    "ike.weak_crypto_enc",
	AnomalyIKEWeakCryptoNoAuth:                        "ike.weak_crypto_no_auth",
	AnomalyIKEWeakCryptoNoDH:                          "ike.weak_crypto_no_dh",
	AnomalyIKEWeakCryptoPRF:                           "ike.weak_crypto_prf",
	AnomalyKRB5MalformedData:                          "krb5.malformed_data",
	AnomalyKRB5WeakEncryption:                         "krb5.weak_encryption",
	AnomalyModbusFlooded:                              "modbus.flooded",
	AnomalyModbusInvalidExceptionCode:                 "modbus.invalid_exception_code",
	AnomalyModbusInvalidFunctionCode:                  "modbus.invalid_function_code",
	AnomalyModbusInvalidLength:                        "modbus.invalid_length",
	AnomalyModbusInvalidProtocolID:                    "modbus.invalid_protocol_id",
	AnomalyModbusInvalidValue:                         "modbus.invalid_value",
	AnomalyModbusUnsolicitedResponse:                  "modbus.unsolicited_response",
	AnomalyModbusValueMismatch:                        "modbus.value_mismatch",
	AnomalyMQTTDoubleConnect:                          "mqtt.double_connect",
	AnomalyMQTTInvalidQosLevel:                        "mqtt.invalid_qos_level",
	AnomalyMQTTMalformedTraffic:                       "mqtt.malformed_traffic",
	AnomalyMQTTMissingConnect:                         "mqtt.missing_connect",
	AnomalyMQTTMissingMessageID:                       "mqtt.missing_msg_id",
	AnomalyMQTTMissingPublish:                         "mqtt.missing_publish",
	AnomalyMQTTMissingSubscribe:                       "mqtt.missing_subscribe",
	AnomalyMQTTMissingUnsubscribe:                     "mqtt.missing_unsubscribe",
	AnomalyMQTTTooManyTransactions:                    "mqtt.too_many_transactions",
	AnomalyMQTTUnassignedMessageType:                  "mqtt.unassigned_msg_type",
	AnomalyMQTTUnintroducedMessage:                    "mqtt.unintroduced_message",
	AnomalyNFSMalformedData:                           "nfs.malformed_data",
	AnomalyNFSTooManyTransactions:                     "nfs.too_many_transactions",
	AnomalyNTPMalformedData:                           "ntp.malformed_data",
	AnomalyQUICCryptoFragTooLong:                      "quic.crypto_frag_too_long",
	AnomalyQUICErrorOnData:                            "quic.error_on_data",
	AnomalyQUICFailedDecrypt:                          "quic.failed_decrypt",
	AnomalyRFBConfusedState:                           "rfb.confused_state",
	AnomalyRFBMalformedMessage:                        "rfb.malformed_message",
	AnomalyRFBUnimplementedSecurityType:               "rfb.unimplemented_security_type",
	AnomalyRFBUnknownSecurityResult:                   "rfb.unknown_security_result",
	AnomalySMBDuplicateNegotiate:                      "smb.duplicate_negotiate",
	AnomalySMBFileOverlap:                             "smb.file_overlap",
	AnomalySMBInternalError:                           "smb.internal_error",
	AnomalySMBMalformedData:                           "smb.malformed_data",
	AnomalySMBMalformedNTLMSSPRequest:                 "smb.malformed_ntlmssp_request",
	AnomalySMBMalformedNTLMSSPResponse:                "smb.malformed_ntlmssp_response",
	AnomalySMBNegotiateMalformedDialects:              "smb.negotiate_malformed_dialects",
	AnomalySMBNegotiateMaxReadSizeTooLarge:            "smb.negotiate_max_read_size_too_large",
	AnomalySMBNegotiateMaxWriteSizeTooLarge:           "smb.negotiate_max_write_size_too_large",
	AnomalySMBReadQueueCountExceeded:                  "smb.read_queue_cnt_exceeded",
	AnomalySMBReadQueueSizeExceeded:                   "smb.read_queue_size_exceeded",
	AnomalySMBReadRequestTooLarge:                     "smb.read_request_too_large",
	AnomalySMBReadResponseTooLarge:                    "smb.read_response_too_large",
	AnomalySMBRecordOverflow:                          "smb.record_overflow",
	AnomalySMBRequestToClient:                         "smb.request_to_client",
	AnomalySMBResponseToServer:                        "smb.response_to_server",
	AnomalySMBTooManyTransactions:                     "smb.too_many_transactions",
	AnomalySMBUnusualNTLMSSPOrder:                     "smb.unusual_ntlmssp_order",
	AnomalySMBWriteQueueCountExceeded:                 "smb.write_queue_cnt_exceeded",
	AnomalySMBWriteQueueSizeExceeded:                  "smb.write_queue_size_exceeded",
	AnomalySMBWriteRequestTooLarge:                    "smb.write_request_too_large",
	AnomalySMTPBDATChunkLengthExceeded:                "smtp.bdat_chunk_len_exceeded",
	AnomalySMTPDataCommandRejected:                    "smtp.data_command_rejected",
	AnomalySMTPDuplicateFields:                        "smtp.duplicate_fields",
	AnomalySMTPFailedProtocolChange:                   "smtp.failed_protocol_change",
	AnomalySMTPInvalidPipelinedSequence:               "smtp.invalid_pipelined_sequence",
	AnomalySMTPInvalidReply:                           "smtp.invalid_reply",
	AnomalySMTPMaxCommandLineLengthExceeded:           "smtp.max_command_line_len_exceeded",
	AnomalySMTPMaxReplyLineLengthExceeded:             "smtp.max_reply_line_len_exceeded",
	AnomalySMTPMIMEInvalidBase64:                      "smtp.mime_invalid_base64",
	AnomalySMTPMIMEInvalidQP:                          "smtp.mime_invalid_qp",
	AnomalySMTPMIMELongBoundary:                       "smtp.mime_long_boundary",
	AnomalySMTPMIMELongEncryptionLine:                 "smtp.mime_long_enc_line",
	AnomalySMTPMIMELongFilename:                       "smtp.mime_long_filename",
	AnomalySMTPMIMELongHeaderName:                     "smtp.mime_long_header_name",
	AnomalySMTPMIMELongHeaderValue:                    "smtp.mime_long_header_value",
	AnomalySMTPMIMELongLine:                           "smtp.mime_long_line",
	AnomalySMTPMIMEMalformedMessage:                   "smtp.mime_malformed_msg",
	AnomalySMTPMIMEParseFailed:                        "smtp.mime_parse_failed",
	AnomalySMTPNoServerWelcomeMessage:                 "smtp.no_server_welcome_message",
	AnomalySMTPTLSRejected:                            "smtp.tls_rejected",
	AnomalySMTPUnableToMatchReplyWithRequest:          "smtp.unable_to_match_reply_with_request",
	AnomalySMTPUnparsableContent:                      "smtp.unparsable_content",
	AnomalySSHInvalidBanner:                           "ssh.invalid_banner",
	AnomalySSHInvalidRecord:                           "ssh.invalid_record",
	AnomalySSHLongBanner:                              "ssh.long_banner",
	AnomalyTLSCertificateInvalidAlgorithmidentifier:   "tls.certificate_invalid_algorithmidentifier",
	AnomalyTLSCertificateInvalidDate:                  "tls.certificate_invalid_date",
	AnomalyTLSCertificateInvalidDER:                   "tls.certificate_invalid_der",
	AnomalyTLSCertificateInvalidExtensions:            "tls.certificate_invalid_extensions",
	AnomalyTLSCertificateInvalidIssuer:                "tls.certificate_invalid_issuer",
	AnomalyTLSCertificateInvalidLength:                "tls.certificate_invalid_length",
	AnomalyTLSCertificateInvalidSerial:                "tls.certificate_invalid_serial",
	AnomalyTLSCertificateInvalidSubject:               "tls.certificate_invalid_subject",
	AnomalyTLSCertificateInvalidValidity:              "tls.certificate_invalid_validity",
	AnomalyTLSCertificateInvalidVersion:               "tls.certificate_invalid_version",
	AnomalyTLSCertificateInvalidX509name:              "tls.certificate_invalid_x509name",
	AnomalyTLSDataleakHeartbeatMismatch:               "tls.dataleak_heartbeat_mismatch",
	AnomalyTLSErrorMessageEncountered:                 "tls.error_message_encountered",
	AnomalyTLSHandshakeInvalidLength:                  "tls.handshake_invalid_length",
	AnomalyTLSHeartbeatMessage:                        "tls.heartbeat_message",
	AnomalyTLSInvalidCertificate:                      "tls.invalid_certificate",
	AnomalyTLSInvalidHandshakeMessage:                 "tls.invalid_handshake_message",
	AnomalyTLSInvalidHeartbeatMessage:                 "tls.invalid_heartbeat_message",
	AnomalyTLSInvalidRecordType:                       "tls.invalid_record_type",
	AnomalyTLSInvalidRecordVersion:                    "tls.invalid_record_version",
	AnomalyTLSInvalidSNILength:                        "tls.invalid_sni_length",
	AnomalyTLSInvalidSNIType:                          "tls.invalid_sni_type",
	AnomalyTLSInvalidSSLRecord:                        "tls.invalid_ssl_record",
	AnomalyTLSInvalidSSLv2Header:                      "tls.invalid_sslv2_header",
	AnomalyTLSInvalidTLSHeader:                        "tls.invalid_tls_header",
	AnomalyTLSMultipleSNIExtensions:                   "tls.multiple_sni_extensions",
	AnomalyTLSOverflowHeartbeatMessage:                "tls.overflow_heartbeat_message",
	AnomalyTLSTooManyRecordsInPacket:                  "tls.too_many_records_in_packet",
}

// String returns the name that rules use: the protocol's and the anomaly's, such as
// "http.request_line_invalid"; those of protocol detection begin with "applayer_".
func (a Anomaly) String() string {
	if int(a) < numAnomalies {
		return anomalyNames[a]
	}
	return "unknown"
}

// AnomalyNever is one that nothing raises: rules may name what earlier versions had.
const AnomalyNever = Anomaly(math.MaxUint16)

// outdated are the names that Suricata 7 still takes in rules, and never raises.
var outdated = []string{
	"tls.certificate_missing_element", "tls.certificate_unknown_element", "tls.certificate_invalid_string",
	"dns.not_a_request", "dns.not_a_response", "dns.unsolicited_response", "dns.flooded", "dns.state_memcap_reached",
}

// AnomalyByName returns the anomaly that app-layer-event calls name.
func AnomalyByName(name string) (a Anomaly, ok bool) {
	if slices.Contains(outdated, name) {
		return AnomalyNever, true
	}
	for a, n := range anomalyNames {
		if n == name {
			return Anomaly(a), true
		}
	}
	return 0, false
}
