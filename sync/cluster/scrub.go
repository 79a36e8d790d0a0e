package cluster

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestLine is how much of a log line is told, in runes.
const longestLine = 200

// secretly matches the names that people give what nobody is to read.
const secretly = `(?:pass(?:word|wd|phrase)?|pwd|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key|auth(?:orization)?|cookie|session|signature|dsn)`

// login matches what stands before the host in a URL, also where people have not encoded it: after a colon, what begins
// with another thing than a port.
const login = `(?:[^\s/?#"'<>]*|[^\s/?#"'<>:@]*:(?:\d*[^\s"'<>/\d@]|/)[^\s"'<>]*)`

// quoted matches a value in quotes that may be escaped, be a literal of Python's, or never end.
const quoted = `\\+"[^"]*"?|\\+'[^']*'?|[bru]?"(?:[^"\\]|\\.)*"?|[bru]?'(?:[^'\\]|\\.)*'?`

var (
	secretName  = regexp.MustCompile(`(?i)` + secretly + `|key|(?:^|_)(?:pass|cert|sig|salt|pin)(?:_|$)`)
	pem         = regexp.MustCompile(`(?s)-----BEGIN .*?(?:-----END [^-]*-----|$)`)
	userinfo    = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)` + login + `@`)
	credentials = regexp.MustCompile(`(?i)\b(bearer|basic|digest|negotiate|apikey)(\s+|%20)[^\s"',;]{4,}`)
	jwt         = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*`)
	flagged     = regexp.MustCompile(`(?i)(--?[\w.-]*(?:` + secretly + `|key)[\w.-]*)\s+("[^"]*"|'[^']*'|[^\s"'-]\S*)`)
	keyed       = regexp.MustCompile(`(?i)([\w.-]*(?:` + secretly + `|key)[\w.-]*\\*["']?\s*(?:=>|[=:]|%3[ad])\s*)(` + quoted + `|[^\s,;&"'}\])]+)`)
	element     = regexp.MustCompile(`(?i)(<[\w:.-]*(?:` + secretly + `|key)[\w:.-]*>)[^<]+`)
	inSQL       = regexp.MustCompile(`(?i)\b((?:password|identified\b[^'"]*\bby)\s+)(?:` + quoted + `)`)
	run         = regexp.MustCompile(`[A-Za-z0-9+/_=-]{24,}`)
	word        = regexp.MustCompile(`^\w+$`)
)

// scrub takes what may be secret out of a line that a program wrote: the values that are known, in whatever form, and
// what looks like one. What is left is one line without control characters, of at most longestLine runes. It takes
// away too much rather than too little.
func scrub(line string, values []string) string {
	return cutLine(scrubPatterns(scrubValues(line, values)))
}

// scrubValues takes known values out of a text.
func scrubValues(text string, values []string) string {
	text = withoutColours.ReplaceAllString(strings.ToValidUTF8(text, ""), "")
	for _, value := range values {
		if utf8.RuneCountInString(value) > 3 {
			text = strings.ReplaceAll(text, value, masked)
		} else {
			text = replaceWord(text, value)
		}
	}
	return text
}

// scrubPatterns takes out of a text what looks secret.
func scrubPatterns(text string) string {
	text = withoutColours.ReplaceAllString(strings.ToValidUTF8(text, ""), "")
	text = pem.ReplaceAllString(text, masked)
	text = userinfo.ReplaceAllString(text, "${1}"+masked+"@")
	text = credentials.ReplaceAllString(text, "${1} "+masked)
	text = jwt.ReplaceAllString(text, masked)
	text = flagged.ReplaceAllString(text, "${1} "+masked)
	for _, pattern := range []*regexp.Regexp{keyed, element, inSQL} {
		text = pattern.ReplaceAllString(text, "${1}"+masked)
	}
	return run.ReplaceAllStringFunc(text, maskRandom)
}

// withoutColours are the escape sequences of terminals.
var withoutColours = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[@-~]")

// replaceWord masks a short value where it stands alone: within other words it would be found by chance.
func replaceWord(text, value string) string {
	if value == "" || !word.MatchString(value) {
		return strings.ReplaceAll(text, value, masked)
	}
	return regexp.MustCompile(`\b`+value+`\b`).ReplaceAllString(text, masked)
}

// maskRandom masks a long run that looks drawn: letters and digits mixed, and not the parts of a path.
func maskRandom(text string) string {
	has := func(is func(rune) bool) bool { return strings.IndexFunc(text, is) >= 0 }
	parts := strings.Count(strings.Trim(text, "/"), "/") + 1
	drawn := len(text)/parts >= 16 || has(unicode.IsUpper) && has(unicode.IsLower) && !strings.HasPrefix(text, "/")
	if !drawn || !has(unicode.IsLetter) || !has(unicode.IsDigit) {
		return text
	}
	return masked
}

// cutLine makes one line of a text, of bounded length.
func cutLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }), " ")
	if utf8.RuneCountInString(text) <= longestLine {
		return text
	}
	return string([]rune(text)[:longestLine-1]) + "…"
}

// tidy orders values so that none is found within another that is masked before it.
func tidy(values []string) []string {
	slices.SortFunc(values, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	values = slices.Compact(values)
	return slices.DeleteFunc(values, func(v string) bool { return v == "" || v == masked })
}
