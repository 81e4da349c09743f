#include "record/perfetto.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace wafersim {
namespace {

// Field numbers of Perfetto's public schema (perfetto_trace.proto).
enum TracePacketField {
    kTimestamp = 8,
    kSequenceId = 10,
    kTrackEvent = 11,
    kInternedData = 12,
    kSequenceFlags = 13,
    kTrackDescriptor = 60
};
enum TrackEventField {
    kDebugAnnotations = 4,
    kType = 9,
    kNameIid = 10,
    kTrackUuid = 11,
    kName = 23,
    kSourceLocationIid = 34,
    kDoubleCounterValue = 44,
    kFlowIds = 47
};
enum TrackEventType { kSliceBegin = 1, kSliceEnd = 2, kInstant = 3, kCounter = 4 };
enum InternedField { kEventNames = 2, kAnnotationNames = 3, kSourceLocations = 4 };
enum DescriptorField { kUuid = 1, kTrackName = 2, kProcess = 3, kParentUuid = 5, kCounterDescriptor = 8 };
constexpr int kCleared = 1, kNeedsState = 2;

constexpr uint64_t kSequence = 1;
constexpr uint64_t kFirstTrack = 1;
constexpr uint64_t kExtraTracks = uint64_t{1} << 48;        // above those of PEs
constexpr uint64_t kFirstColor = uint64_t{1} << 20;         // iids of colors, above those of names
constexpr uint64_t kElements = 1, kPayload = 2, kOpen = 3;  // iids of annotations

// A short message of numbers: no slice takes more than 160 bytes.
class Message {
  public:
    void varint(uint64_t value) {
        while (value >= 0x80) {
            data_[size_++] = static_cast<char>(value | 0x80);
            value >>= 7;
        }
        data_[size_++] = static_cast<char>(value);
    }
    void number(int field, uint64_t value) {
        varint(static_cast<uint64_t>(field) << 3);
        varint(value);
    }
    void fixed64(int field, uint64_t value) {
        varint(static_cast<uint64_t>(field) << 3 | 1);
        for (int k = 0; k < 8; ++k) data_[size_++] = static_cast<char>(value >> (8 * k));
    }
    void message(int field, const Message& inner) {
        varint(static_cast<uint64_t>(field) << 3 | 2);
        varint(inner.size_);
        std::memcpy(data_ + size_, inner.data_, inner.size_);
        size_ += inner.size_;
    }
    std::string_view view() const { return {data_, size_}; }

  private:
    char data_[192];
    size_t size_ = 0;
};

void put_varint(std::string& out, uint64_t value) {
    Message m;
    m.varint(value);
    out += m.view();
}

void put_number(std::string& out, int field, uint64_t value) {
    put_varint(out, static_cast<uint64_t>(field) << 3);
    put_varint(out, value);
}

void put_text(std::string& out, int field, std::string_view text) {
    put_varint(out, static_cast<uint64_t>(field) << 3 | 2);
    put_varint(out, text.size());
    out += text;
}

// A packet of the trace: field 1 of Trace.
void put_packet(std::string& out, std::string_view packet) {
    put_text(out, 1, packet);
}

std::string packet_head(int flags) {
    std::string packet;
    put_number(packet, kSequenceId, kSequence);
    put_number(packet, kSequenceFlags, static_cast<uint64_t>(flags));
    return packet;
}

}  // namespace

PerfettoWriter::PerfettoWriter(int x, int y, int width, int height, int idle)
    : x_(x),
      y_(y),
      width_(width),
      height_(height),
      idle_(idle),
      described_(static_cast<size_t>(width) * static_cast<size_t>(height), 0),
      has_color_(256, false) {
    put_packet(out_, packet_head(kCleared));
    add_annotation_names();
}

void PerfettoWriter::add_annotation_names() {
    std::string interned;
    for (const auto& [iid, name] :
         {std::pair<uint64_t, const char*>{kElements, "elements"}, {kPayload, "payload"}, {kOpen, "had not ended"}}) {
        std::string entry;
        put_number(entry, 1, iid);
        put_text(entry, 2, name);
        put_text(interned, kAnnotationNames, entry);
    }
    std::string packet = packet_head(kNeedsState);
    put_text(packet, kInternedData, interned);
    put_packet(out_, packet);
}

namespace {

std::string interned_name(uint64_t iid, std::string_view name) {
    std::string entry, interned, packet = packet_head(kNeedsState);
    put_number(entry, 1, iid);
    put_text(entry, 2, name);
    put_text(interned, kEventNames, entry);
    put_text(packet, kInternedData, interned);
    return packet;
}

}  // namespace

void PerfettoWriter::add_name(std::string_view name) {
    put_packet(out_, interned_name(++names_, name));
}

void PerfettoWriter::add_color(int number, std::string_view name) {
    if (number < 0 || static_cast<size_t>(number) >= has_color_.size()) return;
    has_color_[static_cast<size_t>(number)] = true;
    put_packet(out_, interned_name(kFirstColor + static_cast<uint64_t>(number), name));
}

void PerfettoWriter::add_line(std::string_view file, int64_t number) {
    std::string entry, interned, packet = packet_head(kNeedsState);
    put_number(entry, 1, ++lines_);
    put_text(entry, 2, file);
    put_number(entry, 4, static_cast<uint64_t>(number));
    put_text(interned, kSourceLocations, entry);
    put_text(packet, kInternedData, interned);
    put_packet(out_, packet);
}

int PerfettoWriter::lane_of(const TraceRow& row) const {
    switch (row.kind) {
        case Happening::kTask:
            return 0;
        case Happening::kVector:
            return 1 + std::min<int>(std::max<int>(row.thread, 0), 8);
        case Happening::kStretch:
            return row.name == idle_ ? -1 : 10;
        case Happening::kSend:
            return 11;
        case Happening::kReceive:
            return 12;
        case Happening::kLink:
            return 13 + std::min<int>(std::max<int>(row.thread, 0), 3);
    }
    return -1;
}

void PerfettoWriter::describe_track(uint64_t uuid, uint64_t parent, std::string_view name) {
    std::string descriptor, packet = packet_head(kNeedsState);
    put_number(descriptor, kUuid, uuid);
    put_text(descriptor, kTrackName, name);
    if (parent) put_number(descriptor, kParentUuid, parent);
    put_text(packet, kTrackDescriptor, descriptor);
    put_packet(out_, packet);
}

uint64_t PerfettoWriter::track(const TraceRow& row, int lane) {
    static constexpr const char* kLaneNames[] = {
        "tasks",         "microthread 0", "microthread 1", "microthread 2", "microthread 3",
        "microthread 4", "microthread 5", "microthread 6", "microthread 7", "main thread: vector ops",
        "stalls",        "sends",         "receives",      "link NORTH",    "link EAST",
        "link SOUTH",    "link WEST"};
    const auto place = static_cast<size_t>(row.y - y_) * static_cast<size_t>(width_) + static_cast<size_t>(row.x - x_);
    const uint64_t process = kFirstTrack + place * kLanes;
    uint32_t& described = described_[place];
    if (!(described >> 31)) {
        described |= 1u << 31;
        std::string pid, descriptor, packet = packet_head(kNeedsState);
        put_number(pid, 1, place + 1);
        put_text(pid, 6, "PE (" + std::to_string(row.x) + ", " + std::to_string(row.y) + ")");
        put_number(descriptor, kUuid, process);
        put_text(descriptor, kProcess, pid);
        put_text(packet, kTrackDescriptor, descriptor);
        put_packet(out_, packet);
    }
    const uint64_t uuid = process + 1 + static_cast<uint64_t>(lane);
    if (!(described >> lane & 1)) {
        described |= 1u << lane;
        describe_track(uuid, process, kLaneNames[lane]);
    }
    return uuid;
}

void PerfettoWriter::add(const TraceRow& row) {
    const int lane = lane_of(row);
    if (lane < 0 || row.x < x_ || row.y < y_ || row.x >= x_ + width_ || row.y >= y_ + height_) return;
    const uint64_t uuid = track(row, lane);
    const bool wavelet = row.kind >= Happening::kSend;
    Message event;
    event.number(kTrackUuid, uuid);
    event.number(kType, kSliceBegin);
    if (wavelet) {
        event.number(kNameIid, kFirstColor + static_cast<uint64_t>(std::max<int>(row.color, 0)));
    } else if (row.name >= 0) {
        event.number(kNameIid, static_cast<uint64_t>(row.name) + 1);
    }
    if (row.line >= 0 && static_cast<uint64_t>(row.line) < lines_)
        event.number(kSourceLocationIid, static_cast<uint64_t>(row.line) + 1);
    if (row.flow) event.fixed64(kFlowIds, row.flow);
    if (wavelet || row.kind == Happening::kVector) {
        Message note;
        note.number(1, wavelet ? kPayload : kElements);
        note.number(3, static_cast<uint64_t>(row.value));
        event.message(kDebugAnnotations, note);
    }
    if (row.open) {
        Message note;
        note.number(1, kOpen);
        note.number(2, 1);
        event.message(kDebugAnnotations, note);
    }
    Message begin, end, last, trace;
    begin.number(kTimestamp, static_cast<uint64_t>(row.begin));
    begin.number(kSequenceId, kSequence);
    begin.number(kSequenceFlags, kNeedsState);
    begin.message(kTrackEvent, event);
    last.number(kTrackUuid, uuid);
    last.number(kType, kSliceEnd);
    end.number(kTimestamp, static_cast<uint64_t>(row.end));
    end.number(kSequenceId, kSequence);
    end.message(kTrackEvent, last);
    trace.message(1, begin);
    out_ += trace.view();
    Message closing;
    closing.message(1, end);
    out_ += closing.view();
    ++slices_;
}

void PerfettoWriter::add_counter(std::string_view name, std::string_view unit,
                                 const std::vector<std::pair<Cycle, double>>& values) {
    const uint64_t uuid = kExtraTracks + ++extra_;
    std::string counter, descriptor, packet = packet_head(kNeedsState);
    put_text(counter, 6, unit);
    put_number(descriptor, kUuid, uuid);
    put_text(descriptor, kTrackName, name);
    put_text(descriptor, kCounterDescriptor, counter);
    put_text(packet, kTrackDescriptor, descriptor);
    put_packet(out_, packet);
    for (const auto& [at, value] : values) {
        Message event, whole;
        event.number(kTrackUuid, uuid);
        event.number(kType, kCounter);
        event.fixed64(kDoubleCounterValue, std::bit_cast<uint64_t>(value));
        whole.number(kTimestamp, static_cast<uint64_t>(at));
        whole.number(kSequenceId, kSequence);
        whole.message(kTrackEvent, event);
        put_packet(out_, whole.view());
    }
}

void PerfettoWriter::add_note(std::string_view text, Cycle at) {
    const uint64_t uuid = kExtraTracks + ++extra_;
    describe_track(uuid, 0, "not in this trace");
    std::string event, packet = packet_head(kNeedsState);
    put_number(event, kTrackUuid, uuid);
    put_number(event, kType, kInstant);
    put_text(event, kName, text);
    put_number(packet, kTimestamp, static_cast<uint64_t>(at));
    put_text(packet, kTrackEvent, event);
    put_packet(out_, packet);
}

}  // namespace wafersim
