package registry

import (
	"slices"
	"strings"
	"time"
)

// Query asks for one image.
type Query struct {
	Image string // as it is written
	// Credentials are those that the image's pods would have, in the order in which they are tried. The agent's own come
	// after them.
	Credentials []*Credentials
}

// Resolution is what a tag stands for.
type Resolution struct {
	Digest string    // "sha256:…"
	At     time.Time // when the registry was asked for it; zero where the image had its digest already
	Source string    // of the credentials that the registry was shown; empty without any
}

// question is a query that can be asked.
type question struct {
	reference
	credentials []*Credentials
}

// parseQueries parses the distinct images, sorted, so that whatever follows has an order that does not depend on the
// caller's. An image that is asked for twice may be read with the credentials of both.
func parseQueries(queries []Query) ([]question, error) {
	sorted := slices.SortedStableFunc(slices.Values(queries), func(a, b Query) int { return strings.Compare(a.Image, b.Image) })
	var questions []question
	var errs []*Error
	for i, query := range sorted {
		if i > 0 && query.Image == sorted[i-1].Image {
			if last := len(questions) - 1; last >= 0 && questions[last].image == query.Image {
				questions[last].credentials = slices.Concat(questions[last].credentials, query.Credentials)
			}
			continue
		}
		ref, err := parse(query.Image)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		questions = append(questions, question{ref, query.Credentials})
	}
	return questions, join(errs)
}
