package http2

import (
	"strings"

	"golang.org/x/net/http2/hpack"
)

// huffmanTree is the code of HPACK (RFC 7541, appendix B) as a binary tree: of each node, where its bits
// 0 and 1 lead. Positive numbers are nodes, negative ones the symbols, less 1, and 0 is nothing: only
// the end of the string, which no sender writes, lies there.
//
// The decoder of package hpack gives nothing for a string that is wrong anywhere. This one gives what
// stands before that, as a receiver might act on it.
var huffmanTree = buildHuffman()

func buildHuffman() (tree [][2]int16) {
	tree = make([][2]int16, 1, 256)
	for symbol := range 256 {
		char := string([]byte{byte(symbol)})
		bits := int(hpack.HuffmanEncodeLength(strings.Repeat(char, 8))) // bytes of 8 of them
		code := hpack.AppendHuffmanString(nil, char)
		node := int16(0)
		for i := range bits {
			next := &tree[node][code[i/8]>>(7-i%8)&1]
			if i == bits-1 {
				*next = int16(-1 - symbol)
			} else if *next == 0 {
				tree = append(tree, [2]int16{})
				tree[node][code[i/8]>>(7-i%8)&1] = int16(len(tree) - 1)
				node = int16(len(tree) - 1)
			} else {
				node = *next
			}
		}
	}
	return tree
}

// appendHuffman appends what src decodes to. What is left of a code at the end is padding.
func appendHuffman(dst, src []byte) []byte {
	node := int16(0)
	for _, b := range src {
		for shift := 7; shift >= 0; shift-- {
			switch node = huffmanTree[node][b>>shift&1]; {
			case node == 0:
				return dst
			case node < 0:
				dst = append(dst, byte(-1-node))
				node = 0
			}
		}
	}
	return dst
}
