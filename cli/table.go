package cli

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// column is one column of a table.
type column struct {
	title string
	right bool // aligned to the right: numbers
}

// table is text in aligned columns, two spaces apart.
type table struct {
	columns []column
	rows    [][]string
	colour  bool // bold titles
}

const columnGap = 2

// drop removes column i.
func (t *table) drop(i int) {
	t.columns = slices.Delete(t.columns, i, i+1)
	for j := range t.rows {
		t.rows[j] = slices.Delete(t.rows[j], i, i+1)
	}
}

func (t *table) widths() []int {
	w := make([]int, len(t.columns))
	for i, c := range t.columns {
		w[i] = utf8.RuneCountInString(c.title)
		for _, r := range t.rows {
			w[i] = max(w[i], utf8.RuneCountInString(r[i]))
		}
	}
	return w
}

// width is that of the longest line.
func (t *table) width() int {
	sum := columnGap * (len(t.columns) - 1)
	for _, w := range t.widths() {
		sum += w
	}
	return sum
}

// shorten cuts the middle out of the cells of the given columns, the widest
// first, until the table is no wider than limit or they have minWidth.
func (t *table) shorten(limit int, columns ...int) {
	widths := t.widths()
	for over := t.width() - limit; over > 0; over-- {
		widest := slices.MaxFunc(columns, func(a, b int) int { return widths[a] - widths[b] })
		if widths[widest] <= minWidth {
			break
		}
		widths[widest]--
	}
	for _, c := range columns {
		t.columns[c].title = ellipsis(t.columns[c].title, widths[c])
		for _, r := range t.rows {
			r[c] = ellipsis(r[c], widths[c])
		}
	}
}

// minWidth leaves both ends of an address to be recognised.
const minWidth = 8

// ellipsis cuts s to n characters and keeps both ends: the port is at the right one.
func ellipsis(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	left := n / 2
	return string(r[:left]) + "…" + string(r[len(r)-(n-left-1):])
}

func (t *table) write(w io.Writer) error {
	b := bufio.NewWriter(w)
	widths := t.widths()
	line := func(cells []string) {
		for i, c := range cells {
			if i > 0 {
				b.WriteString(strings.Repeat(" ", columnGap))
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if t.columns[i].right {
				b.WriteString(pad)
			}
			b.WriteString(printable(c))
			if !t.columns[i].right && i < len(cells)-1 {
				b.WriteString(pad)
			}
		}
	}
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	if t.colour {
		b.WriteString("\x1b[1m")
	}
	line(titles)
	if t.colour {
		b.WriteString("\x1b[0m")
	}
	b.WriteByte('\n')
	for _, r := range t.rows {
		line(r)
		b.WriteByte('\n')
	}
	return b.Flush()
}
