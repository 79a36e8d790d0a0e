package main

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

var (
	imagesHeader   = []string{"IMAGE", "DIGEST", "RESOLVED", "PODS", "CREDENTIALS", "TAG"}
	unpinnedHeader = []string{"NOT PINNED", "OBJECT", "WHERE", "REASON"}
)

// rows are the table of the pinned images. Counted says that the pods could be looked at. What may be a whole sentence, why
// a tag is unknown, comes last.
func (r imagesReport) rows(now time.Time, counted bool) [][]string {
	var rows [][]string
	for _, image := range r.Images {
		pods := "?"
		if counted {
			pods = count(image.Pods).String()
		}
		rows = append(rows, []string{
			oneLine(image.Image), image.shortDigest(), image.resolved(now), pods, cell(image.Credentials), image.Tag.String(),
		})
	}
	return rows
}

// unpinnedRows are the table of the others.
func (r imagesReport) unpinnedRows() [][]string {
	var rows [][]string
	for _, u := range r.Unpinned {
		rows = append(rows, []string{oneLine(u.Image), oneLine(u.Object), oneLine(u.Where), oneLine(u.Reason)})
	}
	return rows
}

func (i imageReport) shortDigest() string {
	if i.Missing {
		return shortDigest(i.Digest) + ", gone from the registry"
	}
	return shortDigest(i.Digest)
}

// shortDigest is enough of a digest to tell it from others.
func shortDigest(digest string) string {
	const digits = 12
	algorithm, hex, _ := strings.Cut(digest, ":")
	return algorithm + ":" + hex[:min(digits, len(hex))]
}

func (i imageReport) resolved(now time.Time) string {
	age := "-"
	if i.ResolvedAt != nil {
		age = duration.HumanDuration(now.Sub(*i.ResolvedAt)) + " ago"
	}
	if i.FromRelease != 0 {
		return fmt.Sprintf("%s, by release %d (the registry was down)", age, i.FromRelease)
	}
	return age
}

// String is "2/3" for two of three pods, and what the others are.
func (n podCount) String() string {
	text := fmt.Sprintf("%d/%d", n.runs, n.wants)
	if n.others > 0 {
		text += fmt.Sprintf(", %d with another", n.others)
	}
	return text
}

func (t *tagReport) String() string {
	switch {
	case t == nil || t.State == tagNone:
		return "-"
	case t.State == tagMoved:
		return "moved to " + shortDigest(t.Digest)
	case t.State == tagUnknown:
		return "unknown: " + oneLine(t.Reason)
	}
	return "unchanged"
}
