#!/usr/bin/env bash
# Removes the rules of truth one at a time, each from a copy of its own, and
# shows which directed tests fail without it: a Markdown table on the standard
# output. It fails if a removal does not apply, or if no test misses the rule.
#
#	scripts/removal.sh [pattern]	only removals whose title matches
#
# The removals are in removal.list beside it: a title of three fields, the lines
# that go, and those that come in their place. Indentation does not count.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
list=$PWD/scripts/removal.list
# What a random world finds is no directed test.
random='^Test(Oracle|Property|Follower|Told|ADirectoryNever|Readers|TheNumberOfASIMIsNot)'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree" "$work/whole"
cp go.mod go.sum "$work/tree"
cp -R binding docs "$work/tree" # and what tests read beside it
mkdir -p "$work/tree/cmd/simbind"
cp -R cmd/simbind/testdata "$work/tree/cmd/simbind"
cp -R binding "$work/whole"

# run prints the tests of packages that fail, the innermost names only, claims
# before others.
run() {
	(cd "$work/tree" && "$go" test -short -count=1 -vet=off -ldflags="-s -w" -timeout 3m -skip "$random" "$@") >"$work/out" 2>&1 || true
	if grep -q '\[build failed\]\|\[setup failed\]' "$work/out"; then
		cat "$work/out" >&2
		echo '**does not build**'
		return
	fi
	sed -n 's/^ *--- FAIL: \([^ ]*\) .*/\1/p; s/^\t*\(Test[A-Za-z0-9_]*[^ ]*\) (.*s)$/\1/p' "$work/out" |
		awk '{ name[NR] = $0 } END { for (i = 1; i <= NR; i++) if (index(name[i+1], name[i] "/") != 1) print name[i] }' |
		awk '{ print /_/ ? 0 : 1, $0 }' | sort -s -n -k1,1 | cut -d' ' -f2-
}

tests=$(run ./binding/registry ./binding/table ./binding/clock)
if [ -n "$tests" ]; then
	printf 'tests fail before anything is removed:\n%s\n' "$tests" >&2
	exit 1
fi

# apply removes one rule and prints where it was, as file and function.
apply() {
	perl -e '
		use strict; use warnings;
		my ($title, $from, @files) = @ARGV;
		my (@old, @new, $in);
		open my $list, "<", $from or die "$from: $!\n";
		while (<$list>) {
			chomp;
			if (/^## (.*)/) { $in = $1 eq $title; next }
			next unless $in;
			push @old, $1 if /^-\s*(.*?)\s*$/;
			push @new, $1 if /^\+\s*(.*?)\s*$/;
		}
		my $old = join("\\s*\\n\\s*", map { quotemeta } @old);
		my ($times, $where) = (0, "");
		for my $file (@files) {
			open my $fh, "<", $file or die "$file: $!\n";
			my $text = do { local $/; <$fh> };
			close $fh;
			my $n = () = $text =~ /$old/g;
			next unless $n;
			$times += $n;
			my $new = join("\n", @new);
			$text =~ s/$old/$new/;
			my ($head, $func) = (substr($text, 0, $-[0]), "");
			while ($head =~ /^func (?:\(\w+ \*?(\w+)\) )?(\w+)/mg) { $func = $1 ? "$1.$2" : $2 }
			$where = "$file $func";
			open $fh, ">", $file or die "$file: $!\n";
			print $fh $text;
			close $fh;
		}
		die "$title: its lines are found $times times\n" unless $times == 1;
		print "$where\n";
	' "$1" "$list" $(find binding/clock binding/table binding/registry -name '*.go' ! -name '*_test.go')
}

missed=0
printf '| rule | without it | reason | where | test that fails |\n|---|---|---|---|---|\n'
while IFS= read -r title; do
	rm -rf "$work/tree/binding"
	cp -R "$work/whole/binding" "$work/tree"
	if ! where=$(cd "$work/tree" && apply "$title"); then
		missed=$((missed + 1))
		continue
	fi
	packages="./binding/registry"
	case $where in
	binding/clock/*) packages+=" ./binding/table ./binding/clock" ;;
	binding/table/*) packages+=" ./binding/table" ;;
	esac
	# shellcheck disable=SC2086
	tests=$(run $packages)
	case $tests in
	'') tests='**none**' missed=$((missed + 1)) ;;
	'**'*) missed=$((missed + 1)) ;;
	esac
	file=${where% *}
	printf '| %s | %s | `%s` %s | %s |\n' "${title%% | *}" "${title#* | }" "${file#binding/}" "${where#* }" \
		"$(head -n 1 <<<"$tests" | tr _ ' ')"
done < <(sed -n 's/^## //p' "$list" | grep -e "${1:-.}")

if [ "$missed" -gt 0 ]; then
	echo "$missed removals that no test misses" >&2
	exit 1
fi
