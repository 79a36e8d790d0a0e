package git

import (
	"strings"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing/object"
)

const maxTextRunes = 200

// A Commit is what a person wants to see of one. Its texts hold no control
// characters, are valid UTF-8 and at most 200 characters long.
type Commit struct {
	Hash       string // 40 hex digits
	Author     string // the name, without the address
	AuthoredAt time.Time
	Subject    string // the message's first line
}

func describe(c *object.Commit) Commit {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return Commit{
		Hash:       c.Hash.String(),
		Author:     clean(c.Author.Name),
		AuthoredAt: c.Author.When,
		Subject:    clean(subject),
	}
}

// clean makes text fit to be shown: what does not print, such as control and
// bidirectional formatting characters, is left out.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(strings.ReplaceAll(text, "\t", " "), ""))
	if runes := []rune(text); len(runes) > maxTextRunes {
		text = string(runes[:maxTextRunes])
	}
	return strings.TrimSpace(text)
}
