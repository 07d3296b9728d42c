// All that the page itself says, in English and Korean.  Findings and gaps come in the words of the library.
const TEXTS = {
  search: ["search", "찾기"],
  searchLong: ["search processes and channels (/); Enter goes to the next that matches, Escape ends it",
    "프로세스와 채널 찾기 (/). Enter를 누르면 다음 것으로 가고, Escape로 끝냅니다"],
  process: ["only process: pid or name", "프로세스: pid·이름"],
  processLong: ["show only this process and who talks to it: pid or name",
    "이 프로세스와 그 상대만 보기: pid 또는 이름"],
  user: ["user", "사용자"],
  all: ["all", "모두"],
  onlyStuck: ["only what is stuck", "멈춘 것만"],
  nearer: ["zoom in (+)", "확대 (+)"],
  farther: ["zoom out (−)", "축소 (−)"],
  whole: ["whole picture", "전체 보기"],
  wholeLong: ["show the whole picture (0)", "전체를 한눈에 보기 (0)"],
  arrange: ["arrange", "다시 배치"],
  arrangeLong: ["arrange anew, what is stuck first", "멈춘 것부터 새로 배치"],
  theme: ["colours: $1", "색: $1"],
  auto: ["auto", "자동"],
  light: ["light", "밝게"],
  dark: ["dark", "어둡게"],
  kinds: ["kinds of channels: what is shown, and how", "채널 종류: 보일 것과 그리는 모양"],
  picture: ["processes and the channels between them; arrow keys go from one to the next, Enter shows details, Shift " +
    "and arrows move the picture, + and − zoom, 0 shows all of it", "프로세스와 그 사이의 채널. 화살표 키로 옮겨 가고, " +
    "Enter로 자세히 보고, Shift와 화살표로 그림을 움직이고, +와 −로 확대·축소하고, 0으로 전체를 봅니다"],
  details: ["what is wrong, and details", "문제와 자세한 내용"],
  waiting: ["waiting for the first picture", "첫 그림을 기다립니다"],
  asOf: ["as of $1", "$1 현재"],
  lost: ["connection lost: what is shown is of $1; trying again", "연결이 끊겼습니다. 보이는 것은 $1의 모습이고, 다시 " +
    "연결하는 중입니다"],
  refused: ["this link is of a tong web that has ended, or has no token: use the link that was printed",
    "이미 끝난 tong web의 링크이거나 토큰이 없습니다. 출력된 링크를 쓰세요"],
  nothing: ["nothing here talks to anything else that is shown", "보이는 것 가운데 서로 통하는 것이 없습니다"],
  fine: ["nothing is wrong, as far as was seen", "본 범위에서는 문제가 없습니다"],
  independent: ["$1 process{es} without a visible channel, not drawn", "보이는 채널이 없어 그리지 않은 프로세스 $1개"],
  alone: ["without a visible channel", "보이는 채널이 없음"],
  unseenOf: ["the descriptors of $1 of them could not be read", "그중 $1개는 디스크립터를 읽을 수 없었습니다"],
  fold: ["fold what is alike", "같은 것끼리 접기"],
  each: ["show each", "하나씩 보기"],
  alike: ["$1 alike: show each", "같은 모양 $1개: 하나씩 보기"],
  more: ["$1 more", "$1개 더"],
  matches: ["$1 of $2", "$2개 중 $1번째"],
  noMatch: ["none", "없음"],
  back: ["back", "뒤로"],
  gone: ["this is gone", "이것은 이제 없습니다"],
  elsewhere: ["+ $1 in other groups", "+ 다른 무리에 $1개"],
  pid: ["process number", "프로세스 번호"],
  command: ["command", "명령"],
  parent: ["parent", "부모"],
  spaces: ["namespaces", "네임스페이스"],
  spaceNames: ["pid $1, network $2, IPC $3, mount $4", "pid $1, 네트워크 $2, IPC $3, 마운트 $4"],
  unseen: ["its descriptors could not be read: it may have more channels", "디스크립터를 읽을 수 없었습니다: 채널이 더 " +
    "있을 수 있습니다"],
  sleeps: ["sleeps in", "기다리는 곳"],
  thread: ["thread $1", "스레드 $1"],
  channels: ["channels ($1)", "채널 ($1)"],
  who: ["who ($1)", "쓰는 프로세스 ($1)"],
  peer: ["its peer", "그 상대"],
  key: ["key", "키"],
  address: ["address", "주소"],
  owner: ["owner", "소유자"],
  mode: ["mode", "권한"],
  state: ["state", "상태"],
  detail: ["more", "덧붙임"],
  source: ["known from", "출처"],
  holds: ["holds", "들어 있는 양"],
  bytes: ["$1 of $2 byte{s}", "$2바이트 중 $1바이트"],
  messages: ["messages, value or attachments", "메시지, 값 또는 연결 수"],
  sends: ["sends", "보냄"],
  receives: ["receives", "받음"],
  both: ["sends and receives", "보내고 받음"],
  has: ["has it", "가지고 있음"],
  waits: ["waits for it", "이것을 기다림"],
  opens: ["waits in open for $1", "open에서 $1 기다림"],
  reader: ["a reader", "읽을 쪽을"],
  writer: ["a writer", "쓸 쪽을"],
  inherited: ["inherited", "물려받음"],
  mapped: ["mapped", "매핑"],
  proof: ["why", "까닭"],
  advice: ["what to do", "할 일"],
  counted: ["$1 $2", "$2 $1개"],
  between: ["$1 and $2", "$1, $2"],
  coverage: ["seen: $1 process{es}, $2 object{s}, from $3", "본 것: 프로세스 $1개, 객체 $2개, 출처 $3"],
  notShown: ["not shown: $1 object{s} of one process each", "보이지 않은 것: 프로세스 하나만 쓰는 객체 $1개"],
  notSeen: ["not seen: $1", "보지 못한 것: $1"],
};
const CERTAINTIES = { exact: "확실", inferred: "추정", unsure: "불확실" };
// The kinds of findings, by their numbers.
const FINDINGS = [["", ""], ["stuck", "멈춤"], ["orphan", "주인 없음"], ["full", "가득 참"],
  ["world-writable", "누구나 쓸 수 있음"], ["leftover", "남겨진 것"], ["perhaps stuck", "멈췄을 수 있음"],
  ["waits for who is stopped", "정지된 프로세스를 기다림"]];
const KOREAN = /^ko\b/i.test(navigator.language) ? 1 : 0;

function say(name, ...values) {
  return TEXTS[name][KOREAN].replace(/\$(\d)(?:( \w+)\{(\w+)\})?/g, (whole, number, word = "", end = "") =>
    values[number - 1] + word + (values[number - 1] === 1 ? "" : end));
}

function certaintyWord(certainty) { return KOREAN ? CERTAINTIES[certainty] || certainty : certainty; }

function findingWord(kind) { return (FINDINGS[kind] || ["?", "?"])[KOREAN]; }
